"""How the last run of each task, and the last execution of each workflow, ended in an environment."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nightferry.cli.terminal.completion import environment_names
from nightferry.cli.terminal.options import backend
from nightferry.environments.project import Project

Where = Annotated[
    str | None,
    typer.Option("--env", help="Tell how the last ones there ended.", metavar="ENV", autocompletion=environment_names),
]
_MANY = 200  # runs that are looked through for the last one of each task


def last_runs(project: Project, env: str | None) -> dict[str, dict[str, Any]]:
    """The newest run of each task: id, status, exit code, when it was asked for. Nothing without an environment."""
    runs = [] if env is None else backend(project, env).runs(limit=_MANY)
    return {
        run.task: {"id": run.id, "status": run.status, "exit_code": run.exit_code, "at": run.created_at}
        for run in reversed(runs)
    }


def last_executions(project: Project, env: str | None) -> dict[str, dict[str, Any]]:
    """The newest execution of each workflow: id, status, when it started. Nothing without an environment."""
    if env is None:
        return {}
    place = backend(project, env)
    newest = [found for name in project.catalog.workflows for found in place.executions(workflow=name, limit=1)]
    return {one.workflow: {"id": one.id, "status": one.status, "at": one.started_at} for one in newest}


def told(last: dict[str, Any] | None) -> str:
    """One of them as a cell of a table."""
    if last is None:
        return "never"
    how = last["status"]
    if how == "STOPPED":
        how = "did not end by itself" if last["exit_code"] is None else f"exit code {last['exit_code']}"
    return f"{how}, {last['at'].astimezone():%Y-%m-%d %H:%M}"
