"""A clock that is told the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ToldClock:
    """A :class:`~nightferry.clock.Clock` whose time passes only while somebody sleeps, and then at once."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """The time that it was told."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self._now += timedelta(seconds=seconds)
