"""The result of a run: the object that the job's main returned, from the last lines of its log."""

from __future__ import annotations

import json
from typing import Any

from nightferry.backend.interface import Backend, Refused, TaskRun
from nightferry.backend.log_lines import LAST_PERIOD, find_result


def read_result(backend: Backend, run: TaskRun) -> dict[str, Any] | None:
    """Return the result of a run that succeeded; None without one, or if the caller may not read the log."""
    if not run.succeeded:
        return None
    since = run.stopped_at and run.stopped_at - LAST_PERIOD
    try:
        return find_result(backend.log_reader(since).new([run.id]), run.stopped_at)
    except Refused:
        return None


def format_result(result: dict[str, Any] | None) -> str | None:
    """Return a result as text."""
    return None if result is None else json.dumps(result, ensure_ascii=False)
