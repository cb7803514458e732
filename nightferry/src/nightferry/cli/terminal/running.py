"""Running one task and following it, for ``nightferry run`` and ``run-ecs-task`` alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console

from nightferry.backend.interface import Backend, TaskRun
from nightferry.cli.terminal.follow import follow_run
from nightferry.cli.terminal.lines import duration
from nightferry.contract import EXITED_REASON, ExitCode, StopCode
from nightferry.errors import NightferryError


def variables(items: Iterable[str] | None) -> dict[str, str]:
    """Variables from ``NAME=VALUE``; raises NightferryError."""
    given = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise NightferryError(f"-e {item}: write a variable as NAME=VALUE.")
        given[name] = value
    return given


def follow_to_the_end(place: Backend, id: str, env: str, console: Console, *, raw: bool) -> int:
    """Follow a run until its last line, tell how it ended, and answer its exit code; 125 for one without."""
    run = follow_run(place, id, console, env=env, raw=raw)
    if run.exit_code is None:
        _tell(_without_exit_code(run))
        for sentence in (
            place.troubleshooting(run) if run.started_at is None and run.stop_code != StopCode.BY_USER else []
        ):
            _tell(f"  {sentence}")
    elif place.outlives_client:
        reason = "" if run.reason in (None, EXITED_REASON) else f": {run.reason}"
        _tell(f"{run.task} ended with exit code {run.exit_code}{_after(run)}{reason} (run {run.id})")
    if place.outlives_client and run.exit_code != 0:
        for name, link in run.links.items():
            _tell(f"  {name}: {link}")
    return ExitCode.NOT_STARTED if run.exit_code is None else run.exit_code


def _without_exit_code(run: TaskRun) -> str:
    reason = (run.reason or "No reason is known").rstrip(".") + "."
    if run.stop_code == StopCode.BY_USER and run.started_at is None:
        return f"{run.task} was stopped before it started. {reason}"
    if run.started_at is None:
        return f"{run.task} did not start. {reason}"
    return f"{run.task} did not run to an end, and its exit code is not known. {reason}"


def _after(run: TaskRun) -> str:
    if run.started_at is None or run.stopped_at is None:
        return ""
    return f" after {duration((run.stopped_at - run.started_at).total_seconds())}"


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
