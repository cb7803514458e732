"""Unique timestamps for the file names of a pass.

In the old system the file name contained the second of writing, so that two exports of one employer within a second
overwrote each other's file. Here, a pass reserves a second before its snapshot and holds an advisory lock on it. All
its files have this second in their name, and the first one is written after the second has ended. Another pass
therefore either finds the lock held, or the pass that reserved the second was killed before it wrote a file. The order
of the file names also matches the order of the snapshots.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from paidleave.db import locks

Wait = Callable[[float], object]
"""Sleeps for at most the given seconds."""


@dataclass(frozen=True, slots=True)
class FileTimestamp:
    """A second in UTC on the database's clock, and its end on the clock of ``time.monotonic()``."""

    second: datetime
    ends_at: float

    def wait(self, wait: Wait) -> None:
        """Wait until the second has ended."""
        while (left := self.ends_at - time.monotonic()) > 0:
            wait(left)


def reserve_second(connection: psycopg.Connection, wait: Wait) -> FileTimestamp:
    """Reserve the current second, or the next free one, until ``connection`` is closed."""
    while True:
        stamp = _read_clock(connection)
        if locks.ELIGIBILITY_SECOND.lock(int(stamp.second.timestamp())).try_acquire(connection):
            return stamp
        stamp.wait(wait)


def _read_clock(connection: psycopg.Connection) -> FileTimestamp:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0].astimezone(UTC)
    received = time.monotonic()
    second = now.replace(microsecond=0)
    left = second + timedelta(seconds=1) - now
    return FileTimestamp(second, received + left.total_seconds())
