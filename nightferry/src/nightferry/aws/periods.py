"""The times of CloudWatch Logs: epoch milliseconds, and the periods in which a log is read, newest first.

CloudWatch returns the oldest events of a period first, so a list with the newest entries first is read in periods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nightferry.backend.queries import Cursor

_PERIODS = (1, 7, 28, 91, 91, 91, 91)  # days before today, newest first


@dataclass(frozen=True)
class Period:
    """A part of a log's time; ``end`` is exclusive."""

    begin: datetime
    end: datetime

    @property
    def first_place(self) -> Cursor:
        """A place before those of all entries in the period, from which a list continues with earlier periods."""
        return Cursor(self.begin, "")


def split_time(now: datetime) -> Iterator[Period]:
    """Yield the periods of the log, newest first. They change at midnight (UTC), so that they can be kept for a day."""
    begin = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    yield Period(begin, begin + timedelta(days=2))
    for days in _PERIODS:
        end, begin = begin, begin - timedelta(days=days)
        yield Period(begin, end)


def is_outside(period: Period, before: Cursor | None, since: datetime | None, until: datetime | None) -> bool:
    """Return True if no entry of a period can be after the place ``before`` of a list, or in the time of a filter."""
    return (
        (before is not None and period.first_place >= before)
        or (until is not None and period.begin >= until)
        or (since is not None and period.end <= since)
    )


def to_epoch_ms(time: datetime) -> int:
    """Return a time in CloudWatch's unit, milliseconds since 1970."""
    return int(time.timestamp() * 1000)
