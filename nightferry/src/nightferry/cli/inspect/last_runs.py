"""The result of each task's last run and of each workflow's last execution in an environment."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nightferry.cli.terminal.completion import complete_environment
from nightferry.cli.terminal.options import open_backend
from nightferry.environments.project import Project

OptionalEnv = Annotated[
    str | None,
    typer.Option("--env", help="Add the last results in ENV.", metavar="ENV", autocompletion=complete_environment),
]
_SEARCH_LIMIT = 200  # runs that are searched for the last run of each task


def find_last_runs(project: Project, env: str | None) -> dict[str, dict[str, Any]]:
    """Return the newest run of each task: ID, status, exit code and request time. Empty without an environment."""
    runs = [] if env is None else open_backend(project, env).runs(limit=_SEARCH_LIMIT)
    return {
        run.task: {"id": run.id, "status": run.status, "exit_code": run.exit_code, "at": run.created_at}
        for run in reversed(runs)
    }


def find_last_executions(project: Project, env: str | None) -> dict[str, dict[str, Any]]:
    """Return the newest execution of each workflow: ID, status and start time. Empty without an environment."""
    if env is None:
        return {}
    from nightferry.backend.queries import ExecutionFilter  # slow to import

    backend = open_backend(project, env)
    newest = [
        found
        for name in project.catalog.workflows
        for found in backend.executions(ExecutionFilter(workflow=name), limit=1)
    ]
    return {one.workflow: {"id": one.id, "status": one.status, "at": one.started_at} for one in newest}


def format_last(last: dict[str, Any] | None) -> str:
    """Return a last run or execution as the text of a table cell."""
    if last is None:
        return "never"
    result = last["status"]
    if result == "STOPPED":
        result = "no exit code" if last["exit_code"] is None else f"exit code {last['exit_code']}"
    return f"{result}, {last['at'].astimezone():%Y-%m-%d %H:%M}"
