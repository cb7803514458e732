"""The lines that the job runtime writes: JSON objects with a message, a level and other fields."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from nightferry.backend.log_windows import LEVELS, Level, LogLine
from nightferry.contract import LogEvent

LAST_LINES = 200
"""The last error of a run is searched among this many last lines. A log may have millions of lines."""

LAST_PERIOD = timedelta(minutes=15)
"""The last error of a run is searched in this period before its end."""

HIDDEN_FIELDS = frozenset(
    ("time", "level", "message", "task", "run_id", "execution", "logger", "event", "step", "done", "total", "unit",
     "ended", "environment")
)  # fmt: skip
"""The fields that are part of a line's format, or are only for machines. People see the others."""

_ERRORS = ("ERROR", "CRITICAL")


def parse_line(text: str) -> dict[str, Any] | None:
    """Return the fields of a line that the job runtime wrote, or None for any other line."""
    if not text.startswith("{"):
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and "message" in fields else None


def judge_level(text: str) -> Level:
    """Return the level of a line. A line that the job runtime did not write, or of another level, counts as INFO."""
    return read_level(parse_line(text))


def read_level(fields: Mapping[str, Any] | None) -> Level:
    """Return the level of a line with these fields; see :func:`judge_level`."""
    level = None if fields is None else fields.get("level")
    return next((known for known in LEVELS if known == level), "INFO")


def find_last_error(lines: Iterable[LogLine], stopped_at: datetime | None) -> str | None:
    """Return the message of a run's last error before its end, or None.

    ``lines`` are at least the last :data:`LAST_LINES` lines of :data:`LAST_PERIOD`; earlier ones do not count. Only the
    runtime's lines count, because they are free of secrets.
    """
    errors = (fields["message"] for fields in _read_last(lines, stopped_at) if fields.get("level") in _ERRORS)
    return next((str(message) for message in reversed(list(errors))), None)


def find_result(lines: Iterable[LogLine], stopped_at: datetime | None) -> dict[str, Any] | None:
    """Return the object that a run's main returned, or None; for ``lines`` see :func:`find_last_error`."""
    found = [fields.get("result") for fields in _read_last(lines, stopped_at) if fields.get("event") == LogEvent.RESULT]
    return found[-1] if found and isinstance(found[-1], dict) else None


def _read_last(lines: Iterable[LogLine], stopped_at: datetime | None) -> Iterator[dict[str, Any]]:
    """Yield the runtime's lines among the last ones."""
    for line in deque((one for one in lines if stopped_at is None or one.time >= stopped_at - LAST_PERIOD), LAST_LINES):
        if (fields := parse_line(line.text)) is not None:
            yield fields
