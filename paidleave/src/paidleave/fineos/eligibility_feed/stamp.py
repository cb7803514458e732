"""The second that stands in the names of a pass's files, and that no other pass may use.

The old system named files by the second of writing, so that two exports of one employer within a second overwrote
each other. Here a pass takes the second before its snapshot for all its files, and holds PostgreSQL's lock on it; the
first file is written when that second is over. So whoever takes the same second finds the lock held, or finds that
its holder died before it wrote anything. It also puts the names into the order of the data: a later name, newer data.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from paidleave.db import locks

Wait = Callable[[float], object]
"""Sleeps for the seconds that it is given (or less)."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A second (UTC, by the database's clock), and when it is over by ``time.monotonic()``."""

    second: datetime
    over: float

    def wait(self, wait: Wait) -> None:
        """Return when the second is over."""
        while (left := self.over - time.monotonic()) > 0:
            wait(left)


def reserve(connection: psycopg.Connection, wait: Wait) -> Stamp:
    """The present second, if nobody has it, else the next one; it is ``connection``'s until it closes."""
    while True:
        stamp = _now(connection)
        if locks.ELIGIBILITY_SECOND.lock(int(stamp.second.timestamp())).try_acquire(connection):
            return stamp
        stamp.wait(wait)


def _now(connection: psycopg.Connection) -> Stamp:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0].astimezone(UTC)
    answered = time.monotonic()
    second = now.replace(microsecond=0)
    left = second + timedelta(seconds=1) - now
    return Stamp(second, answered + left.total_seconds())
