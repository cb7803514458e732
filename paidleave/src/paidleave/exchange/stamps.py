"""What the names of the vendor's files tell: ``2020-12-10-23-10-11-EmployeeDataLoad_feed.csv``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_STAMP = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:-[0-9]{2}-[0-9]{2}-[0-9]{2})?(?:[-_. ]|\Z)", re.ASCII)


def date_of(name: str, modified: datetime) -> date:
    """The date in the name of a file, else in that of the nearest folder above it, else of its last change (UTC)."""
    for part in reversed(name.split("/")):
        if (stamp := _STAMP.match(part)) and (found := _date(stamp)):
            return found
    return modified.astimezone(UTC).date()


def shown(name: str) -> str:
    """A path for people: a long one without blanks looks like a key to the redaction of logs, and would be hidden."""
    return name.replace("/", " / ")


def without_stamp(name: str) -> str:
    """The last part of ``name`` without the date and time that it may begin with."""
    last = name.rpartition("/")[2]
    stamp = _STAMP.match(last)
    return last[stamp.end() :] if stamp and _date(stamp) else last


def _date(stamp: re.Match[str]) -> date | None:
    try:
        return date(int(stamp[1]), int(stamp[2]), int(stamp[3]))
    except ValueError:
        return None
