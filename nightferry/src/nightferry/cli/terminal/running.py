"""Follow the run of a task to its exit code, for ``nightferry run`` and ``run-ecs-task``."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from nightferry.backend.interface import Backend
from nightferry.backend.runs import TaskRun
from nightferry.cli.terminal.follow import follow_run
from nightferry.cli.terminal.options import print_status
from nightferry.contract import EXITED_REASON, ExitCode
from nightferry.errors import NightferryError
from nightferry.presentation.durations import format_duration


def parse_variables(items: Iterable[str] | None) -> dict[str, str]:
    """Return the variables of ``NAME=VALUE`` items; raises NightferryError."""
    variables: dict[str, str] = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise NightferryError(f"-e {item} is not valid. Use the form NAME=VALUE.")
        if variables.setdefault(name, value) != value:
            raise NightferryError(f"{name} is set twice, to different values. Set it once.")
    return variables


def follow_to_end(backend: Backend, id: str, env: str, console: Console, *, raw: bool) -> int:
    """Follow a run to its last line, print its result, and return its exit code, or 125 if it has none."""
    run = follow_run(backend, id, console, env=env, raw=raw)
    if run.exit_code is None:
        print_status(_describe_missing_exit_code(run))
    elif backend.outlives_client:
        reason = "" if run.reason in (None, EXITED_REASON) else f": {run.reason}"
        print_status(f"{run.task} ended with exit code {run.exit_code}{_format_duration(run)}{reason} (run {run.id})")
    for sentence in backend.troubleshooting(run):
        print_status(f"  {sentence}")
    if backend.outlives_client and run.exit_code != 0:
        for name, link in run.links.items():
            print_status(f"  {name}: {link}")
    return ExitCode.NOT_STARTED if run.exit_code is None else run.exit_code


def _describe_missing_exit_code(run: TaskRun) -> str:
    reason = (run.reason or "The reason is unknown").rstrip(".") + "."
    if run.stopped_by_user and run.started_at is None:
        return f"{run.task} was stopped before it started. {reason}"
    if run.started_at is None:
        return f"{run.task} did not start. {reason}"
    return f"{run.task} ended without an exit code. {reason}"


def _format_duration(run: TaskRun) -> str:
    if run.started_at is None or run.stopped_at is None:
        return ""
    return f" after {format_duration((run.stopped_at - run.started_at).total_seconds())}"
