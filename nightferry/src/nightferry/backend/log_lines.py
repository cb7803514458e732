"""The lines that the job runtime writes: JSON objects with a message, a level and other fields."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nightferry.backend.interface import LogLine

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


def find_last_error(lines: Iterable[LogLine]) -> str | None:
    """Return the message of a run's last error, or None. Only the runtime's lines count: they are free of secrets."""
    last = None
    for line in lines:
        fields = parse_line(line.text)
        if fields is not None and fields.get("level") in _ERRORS:
            last = str(fields["message"])
    return last
