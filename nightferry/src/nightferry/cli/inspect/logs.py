"""``nightferry logs``: the lines of a task, a run or an execution."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from nightferry.backend.interface import Backend, LogLine
from nightferry.cli.terminal.lines import is_progress, parsed, pretty, unchanged
from nightferry.cli.terminal.options import Env, backend
from nightferry.cli.terminal.times import FORMS, moment
from nightferry.cli.terminal.watch import Seen, Watcher
from nightferry.environments.project import Project
from nightferry.errors import NightferryError, UnknownName

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_MANY = 200  # runs of a task that --since looks at


def logs(
    id: Annotated[
        str, typer.Argument(help="A task (its last run), a workflow (its last execution), a run or an execution.")
    ],
    env: Env = "local",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has stopped.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help=f"Only lines from then on: {FORMS}. Of a task, those of all its runs.",
            metavar="TIME",
        ),
    ] = None,
    level: Annotated[str, typer.Option(help="The least level to show.", metavar="LEVEL")] = "DEBUG",
    grep: Annotated[str | None, typer.Option(help="Only lines that contain this text.", metavar="TEXT")] = None,
    raw: Annotated[bool, typer.Option(help="Lines as the tasks wrote them, also on a terminal.")] = False,
) -> None:
    """Show the lines that tasks wrote: pretty on a terminal, as they were written in a pipe."""
    if level.upper() not in _LEVELS:
        raise NightferryError(f"There is no level '{level}'. There are: {', '.join(_LEVELS)}.")
    least = _LEVELS.index(level.upper())
    start = None if since is None else moment("--since", since)
    project = Project.find()
    place = backend(project, env)
    console = Console()
    plain = raw or not console.is_terminal
    reader = place.log_reader(start)

    def show(line: LogLine, tasks: dict[str, str]) -> None:
        fields = parsed(line.text)
        known = str((fields or {}).get("level", "INFO"))
        if known in _LEVELS and _LEVELS.index(known) < least:
            return
        if grep is not None and grep not in line.text:
            return
        if plain:
            unchanged(console, line.text)
        elif not is_progress(fields):
            several = tasks[line.run] if len(tasks) > 1 else ""
            console.print(pretty(line.text, line.time, task=several), soft_wrap=True)

    def look() -> Seen:
        tasks, is_open = _runs_of(project, place, id, start)
        news = False
        for line in reader.new(list(tasks)):
            news = True
            show(line, tasks)
        return Seen(news, not is_open and all(reader.is_drained(run) for run in tasks))

    if follow:
        Watcher(place, id, env=env).look_on(look)
    else:
        look()


def _runs_of(project: Project, place: Backend, id: str, since: datetime | None) -> tuple[dict[str, str], bool]:
    """The runs that are meant, with their tasks, and whether more lines may come."""
    if id in project.catalog.tasks:
        runs = place.runs(task=id, limit=1 if since is None else _MANY)
        if not runs:
            raise NightferryError(f"Task '{id}' has not run here yet. Try: nightferry run {id}")
        if since is not None:
            runs = [run for run in runs if run.stopped_at is None or run.stopped_at >= since]
        return {run.id: run.task for run in runs}, any(run.status != "STOPPED" for run in runs)
    if id in project.catalog.workflows:
        executions = place.executions(workflow=id, limit=1)
        if not executions:
            raise NightferryError(f"Workflow '{id}' has not run here yet. Try: nightferry start {id}")
        id = executions[0].id
    try:
        execution = place.execution(id)
    except UnknownName:
        run = place.run(id)
        return {run.id: run.task}, run.status != "STOPPED"
    runs = place.runs(execution=execution.id, limit=1000)
    return {run.id: run.task for run in runs}, execution.status == "RUNNING" and not execution.interrupted
