"""``nightferry stop``: ask a run or an execution to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from nightferry.backend.interface import Backend
from nightferry.cli.terminal.options import Env, backend
from nightferry.environments.project import Project
from nightferry.errors import UnknownName


def stop(
    id: Annotated[str, typer.Argument(help="A run or execution; the beginning of its id is enough.")],
    env: Env = "local",
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "Stopped by hand.",
) -> None:
    """Ask a run or an execution, with all its tasks, to stop. Tasks get SIGTERM, 30 seconds later SIGKILL."""
    place = backend(Project.find(), env)
    found = _find(place, id)
    if found is None:
        open_runs = [run.id for run in place.runs(limit=100) if run.status != "STOPPED"]
        open_executions = [found.id for found in place.executions(limit=100) if found.status == "RUNNING"]
        raise UnknownName("run or execution", id, [*open_executions, *open_runs])
    name, is_open = found
    if not is_open:
        typer.echo(f"{name} has ended already.")
        return
    place.stop(name, reason)
    typer.echo(f"{name} is asked to stop.")


def _find(place: Backend, id: str) -> tuple[str, bool] | None:
    try:
        run = place.run(id)
        return run.id, run.status != "STOPPED"
    except UnknownName:
        try:
            execution = place.execution(id)
            return execution.id, execution.status == "RUNNING"
        except UnknownName:
            return None
