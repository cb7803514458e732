"""An injectable source of time, so that tests can replace the machine's clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the current time that can also wait."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """See :class:`Clock`."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        time.sleep(seconds)


_clocks: list[Clock] = [SystemClock()]


def get_clock() -> Clock:
    """Return the clock of this process: the machine's, unless a test has replaced it with :func:`use_clock`."""
    return _clocks[-1]


@contextmanager
def use_clock(clock: Clock) -> Iterator[None]:
    """Make ``clock`` the clock of this process in the block."""
    _clocks.append(clock)
    try:
        yield
    finally:
        _clocks.pop()
