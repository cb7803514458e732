"""``nightferry logs``: show the log lines of a task, a run or an execution."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from nightferry.backend.interface import Backend
from nightferry.backend.log_lines import parse_line
from nightferry.backend.log_windows import LogLine
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.cli.terminal.lines import format_line
from nightferry.cli.terminal.options import Env, open_backend
from nightferry.cli.terminal.output import Terminal, print_log_line
from nightferry.cli.terminal.watch import PollResult, Watcher
from nightferry.environments.project import Project
from nightferry.errors import NightferryError, UnknownName
from nightferry.presentation.progress import is_progress
from nightferry.presentation.times import TIME_FORMATS, parse_time

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SINCE_LIMIT = 200  # runs of a task that --since includes


def logs(
    id: Annotated[
        str,
        typer.Argument(
            help="A task (its last run), a workflow (its last execution), a run or an execution.", metavar="ID"
        ),
    ],
    env: Env = "local",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue until the run has stopped.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help=f"Show only lines since this time: {TIME_FORMATS}. For a task, include all its runs.",
            metavar="TIME",
        ),
    ] = None,
    level: Annotated[str, typer.Option(help="Lowest level to show.", metavar="LEVEL")] = "DEBUG",
    grep: Annotated[str | None, typer.Option(help="Show only lines that contain this text.", metavar="TEXT")] = None,
    raw: Annotated[bool, typer.Option(help="Print log lines unchanged, also on a terminal.")] = False,
) -> None:
    """Show the log lines of tasks: formatted on a terminal, unchanged in a pipe."""
    if level.upper() not in _LEVELS:
        raise NightferryError(f"Unknown level '{level}'. Use one of: {', '.join(_LEVELS)}.")
    lowest = _LEVELS.index(level.upper())
    start = None if since is None else parse_time("--since", since)
    project = Project.find()
    backend = open_backend(project, env)
    console = Terminal()
    plain = raw or not console.is_terminal
    reader = backend.log_reader(start)

    def show(line: LogLine, tasks: dict[str, str]) -> None:
        fields = parse_line(line.text)
        line_level = str((fields or {}).get("level", "INFO"))
        if line_level in _LEVELS and _LEVELS.index(line_level) < lowest:
            return
        if grep is not None and grep not in line.text:
            return
        if plain:
            print_log_line(console, line.text)
        elif not is_progress(fields):
            task = tasks[line.run] if len(tasks) > 1 else ""
            console.print(format_line(line.text, line.time, task=task), soft_wrap=True)

    def poll() -> PollResult:
        tasks, is_open = _find_runs(project, backend, id, start)
        has_new = False
        for line in reader.new(list(tasks)):
            has_new = True
            show(line, tasks)
        return PollResult(has_new, not is_open and all(reader.is_drained(run) for run in tasks))

    if follow:
        Watcher(backend, id, env=env).watch_only(poll)
    else:
        poll()


def _find_runs(project: Project, backend: Backend, id: str, since: datetime | None) -> tuple[dict[str, str], bool]:
    """Return the tasks of the runs that ``id`` selects, by run ID, and whether more lines may follow."""
    if id in project.catalog.tasks:
        runs: Sequence[TaskRun] = backend.runs(RunFilter(task=id), limit=1 if since is None else _SINCE_LIMIT)
        if not runs:
            raise NightferryError(f"Task '{id}' has no runs in this environment. Start one with: nightferry run {id}")
        if since is not None:
            runs = [run for run in runs if run.stopped_at is None or run.stopped_at >= since]
        return {run.id: run.task for run in runs}, any(run.status != "STOPPED" for run in runs)
    if id in project.catalog.workflows:
        executions = backend.executions(ExecutionFilter(workflow=id), limit=1)
        if not executions:
            raise NightferryError(
                f"Workflow '{id}' has no executions in this environment. Start one with: nightferry start {id}"
            )
        id = executions[0].id
    try:
        execution = backend.execution(id)
    except UnknownName:
        run = backend.run(id)
        return {run.id: run.task}, run.status != "STOPPED"
    runs = backend.runs(RunFilter(execution=execution.id), limit=1000)
    return {run.id: run.task for run in runs}, execution.status == "RUNNING" and not execution.interrupted
