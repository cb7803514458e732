"""A fake clock for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A :class:`~nightferry.clock.Clock` whose time advances only by ``sleep``, which returns immediately."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the fake time."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        self._now += timedelta(seconds=seconds)
