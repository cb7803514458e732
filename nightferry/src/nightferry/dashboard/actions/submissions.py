"""The forms that were sent: each acts once, a session acts at a person's rate, and the next page shows the result."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import TypeVar

from nightferry.presentation.letter_ids import make_letter_id

MOST_PER_MINUTE = 30
_KEPT = 1000  # forms, results and sessions

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Submissions:
    """The forms of one dashboard, shared by its threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: OrderedDict[str, None] = OrderedDict()
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._results: OrderedDict[tuple[str, str], str] = OrderedDict()

    @staticmethod
    def make_token() -> str:
        """Return the token of a new form."""
        return make_letter_id(28)

    def claim(self, token: str) -> bool:
        """Return True if no form with this token was sent before. A form without a token is a script's."""
        with self._lock:
            if not token:
                return True
            if token in self._sent:
                return False
            _put(self._sent, token, None)
            return True

    def release(self, token: str) -> None:
        """Let a form be sent again, because nothing was done."""
        with self._lock:
            self._sent.pop(token, None)

    def is_within_rate(self, session: str) -> bool:
        """Count an attempt of a session, and return True if it has made at most ``MOST_PER_MINUTE`` in a minute."""
        with self._lock:
            now = self._clock()
            times = self._times.get(session, deque())
            while times and times[0] <= now - 60:
                times.popleft()
            if len(times) >= MOST_PER_MINUTE:
                return False
            times.append(now)
            _put(self._times, session, times)
            return True

    def add_result(self, session: str, text: str) -> str:
        """Keep the result of an action for the next page of a session, and return the key for its URL."""
        key = secrets.token_urlsafe(6)
        with self._lock:
            _put(self._results, (session, key), text)
        return key

    def get_result(self, session: str, key: str) -> str:
        """Return a result; empty for an unknown key. Only the session that acted can show it."""
        with self._lock:
            return self._results.get((session, key), "")


def _put(values: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    values[key] = value
    values.move_to_end(key)
    while len(values) > _KEPT:
        values.popitem(last=False)
