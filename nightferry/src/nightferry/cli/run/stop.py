"""``nightferry stop``: stop a run or an execution."""

from __future__ import annotations

from typing import Annotated

import typer

from nightferry.backend.interface import Backend
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.cli.terminal.actions import make_recorder
from nightferry.cli.terminal.options import Env, open_backend, refuse_task_name
from nightferry.cli.terminal.streams import echo
from nightferry.environments.project import Project
from nightferry.errors import UnknownName


def stop(
    id: Annotated[str, typer.Argument(help="A run or execution: its ID or a unique prefix.", metavar="ID")],
    env: Env = "local",
    reason: Annotated[str, typer.Option(help="Reason to record.")] = "Stopped by hand.",
) -> None:
    """Stop a run, or an execution and its tasks. Tasks receive SIGTERM, and SIGKILL after 30 seconds."""
    project = Project.find()
    backend = open_backend(project, env)
    found = _find(backend, id)
    if found is None:
        refuse_task_name(project, id, env)
        open_runs = [run.id for run in backend.runs(RunFilter(outcome="open"), limit=100)]
        open_executions = [found.id for found in backend.executions(ExecutionFilter(outcome="open"), limit=100)]
        raise UnknownName("run or execution", id, [*open_executions, *open_runs])
    name, is_open = found
    if not is_open:
        echo(f"{name} has already ended.")
        return
    author = backend.author()
    with make_recorder(project, backend, author).record("stop", name, reason) as outcome:
        backend.stop(name, reason, author)
        outcome.text = "The stop was requested."
    echo(f"Requested the stop of {name}.")


def _find(backend: Backend, id: str) -> tuple[str, bool] | None:
    try:
        run = backend.run(id)
        return run.id, run.status != "STOPPED"
    except UnknownName:
        try:
            execution = backend.execution(id)
            return execution.id, execution.status == "RUNNING"
        except UnknownName:
            return None
