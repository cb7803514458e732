"""The states of the executions that were viewed last, so that a further view reads only new events."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nightferry.backend.states.map_columns import Redact
from nightferry.backend.states.reader import StateReader
from nightferry.states.machine.history import HistoryEvent

KEPT_EVENTS = 200_000
"""The number of events of all executions whose states are kept; that is about 70 MB."""


@dataclass
class _Entry:
    reader: StateReader
    lock: threading.Lock = field(default_factory=threading.Lock)


class StateCache:
    """States of executions, dropped when others need the space. Several threads may use it."""

    def __init__(self, limit: int = KEPT_EVENTS) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @contextmanager
    def read(
        self, key: Hashable, read_after: Callable[[int], Iterable[HistoryEvent]], redact: Redact
    ) -> Iterator[StateReader]:
        """Provide the states of an execution, after adding the events that ``read_after`` returns.

        ``read_after`` gets the number of known events. The states do not change until the block ends.
        """
        with self._lock:
            entry = self._entries.setdefault(key, _Entry(StateReader(redact)))
            self._entries.move_to_end(key)
        with entry.lock:
            entry.reader.add(read_after(entry.reader.length))
            self._drop()
            yield entry.reader

    def _drop(self) -> None:
        with self._lock:
            kept = sum(entry.reader.length for entry in self._entries.values())
            while kept > self._limit and len(self._entries) > 1:
                _, dropped = self._entries.popitem(last=False)
                kept -= dropped.reader.length
