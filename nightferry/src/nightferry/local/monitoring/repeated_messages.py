"""A limit on repeated messages of the engine's log.

A problem that lasts, or a client that provokes an error thousands of times a second, must not fill the disk and must
not hide the other messages.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

PERIOD_SECONDS = 60.0  # in which the same message is logged once
_REMEMBERED = 200  # different messages


class RepeatedMessages(logging.Filter):
    """A filter of handlers that lets the same warning or error through once a minute, with the number left out.

    ``clock`` returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._last: tuple[logging.LogRecord, bool] | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the record is to be logged. Several handlers may share this filter."""
        if record.levelno < logging.WARNING:
            return True
        if self._last is None or self._last[0] is not record:
            self._last = (record, self._decide(record))
        return self._last[1]

    def _decide(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        now = self._clock()
        logged_at, omitted = self._seen.pop(message, (-PERIOD_SECONDS, 0))
        if now - logged_at < PERIOD_SECONDS:
            self._seen[message] = (logged_at, omitted + 1)
            return False
        self._seen[message] = (now, 0)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        if omitted:
            record.msg, record.args = f"{message} (This message was repeated {omitted:,} times.)", ()
        return True
