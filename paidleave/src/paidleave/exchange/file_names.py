"""Dates in the names of the vendor's files, such as ``2020-12-10-23-10-11-EmployeeDataLoad_feed.csv``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_TIMESTAMP = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:-[0-9]{2}-[0-9]{2}-[0-9]{2})?(?:[-_. ]|\Z)", re.ASCII)


def find_date(name: str, modified: datetime) -> date:
    """Return the date at the start of the file's name, or of its nearest dated folder, or of ``modified`` in UTC."""
    for part in reversed(name.split("/")):
        if (timestamp := _TIMESTAMP.match(part)) and (found := _parse_date(timestamp)):
            return found
    return modified.astimezone(UTC).date()


def find_timestamp(name: str, modified: datetime) -> str:
    """Return the date and time at the start of the file's name as text, or those of ``modified`` in UTC."""
    timestamp = _TIMESTAMP.match(name.rpartition("/")[2])
    if timestamp and _parse_date(timestamp):
        return timestamp[0].rstrip("-_. ")
    return f"{modified.astimezone(UTC):%Y-%m-%d-%H-%M-%S}"


def strip_timestamp(name: str) -> str:
    """Return the last part of ``name`` without the date and time at its start."""
    last = name.rpartition("/")[2]
    timestamp = _TIMESTAMP.match(last)
    return last[timestamp.end() :] if timestamp and _parse_date(timestamp) else last


def _parse_date(timestamp: re.Match[str]) -> date | None:
    try:
        return date(int(timestamp[1]), int(timestamp[2]), int(timestamp[3]))
    except ValueError:
        return None
