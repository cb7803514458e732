"""How old the data of one response are: the oldest data that were used for it, and why they are not newer."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Reading:
    """Data that were read at ``time``. ``problem`` is the reason why a later attempt has failed, or None."""

    time: datetime
    problem: str | None = None


class Freshness:
    """The oldest reading that the current thread has used since :meth:`begin`. Any thread may use it."""

    def __init__(self) -> None:
        self._threads = threading.local()

    def begin(self, longest: float | None = None) -> None:
        """Begin a response in this thread, with data that are at most ``longest`` seconds old if they can be read."""
        self._threads.oldest = None
        self._threads.longest = longest

    @property
    def longest(self) -> float | None:
        """Return how many seconds old the data of the current response may be; None if the source decides."""
        found: float | None = getattr(self._threads, "longest", None)
        return found

    def use(self, reading: Reading) -> None:
        """Record that the current response uses this reading. One with a problem counts as older."""
        oldest: Reading | None = getattr(self._threads, "oldest", None)
        if oldest is None or (reading.problem is None, reading.time) < (oldest.problem is None, oldest.time):
            self._threads.oldest = reading

    @property
    def oldest(self) -> Reading | None:
        """Return the oldest reading of the current response; None if it used none."""
        found: Reading | None = getattr(self._threads, "oldest", None)
        return found
