"""The items of one pass through a Map state while its events are read."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from nightferry.backend.states.values import ITEM_STATUSES, ItemStatus, MapItems, MapSummary

_CODES = {status: code for code, status in enumerate(ITEM_STATUSES)}
_KEY_FIELDS = ("key", "name", "file", "file_name", "id", "path", "code", "date", "day", "number")
_MAX_INPUT = 20_000  # characters of an item that is searched for a key
_MAX_KEY = 80  # characters

Redact = Callable[[Any, str], Any]
"""A function that redacts a value with the name of its field."""


class MapColumns:
    """The statuses, times, keys and errors of items, in columns. Each change is that of one event."""

    def __init__(self, path: str, visit: int, length: int) -> None:
        self.path = path
        self.visit = visit
        self.distributed = False
        self.run: str | None = None  # the map run, if the child executions have histories of their own
        self._statuses = bytearray()
        self._starts = array("d")
        self._stops = array("d")
        self._keys: list[str | None] = []
        self._errors: dict[int, str] = {}
        self._grow(length)

    def _grow(self, length: int) -> None:
        more = length - len(self._statuses)
        if more > 0:
            self._statuses.extend(bytes([_CODES["pending"]]) * more)
            self._starts.extend([0.0] * more)
            self._stops.extend([0.0] * more)
            self._keys.extend([None] * more)

    def __len__(self) -> int:
        return len(self._statuses)

    def start(self, index: int, time: datetime) -> None:
        """Record that an item started."""
        self._grow(index + 1)
        self._statuses[index] = _CODES["running"]
        self._starts[index] = time.timestamp()
        self._stops[index] = 0
        self._errors.pop(index, None)

    def name(self, index: int, key: str | None) -> None:
        """Record the key of an item."""
        self._grow(index + 1)
        self._keys[index] = key

    def end(self, index: int, status: ItemStatus, time: datetime, error: str | None) -> None:
        """Record that an item ended."""
        self._grow(index + 1)
        self._statuses[index] = _CODES[status]
        self._stops[index] = time.timestamp()
        if error:
            self._errors[index] = error

    def resume(self, index: int) -> None:
        """Record that an item that has not succeeded continues after a redrive."""
        if index < len(self) and self._statuses[index] in (_CODES["failed"], _CODES["stopped"]):
            self._statuses[index] = _CODES["running"]
            self._stops[index] = 0
            self._errors.pop(index, None)

    def stop_running(self, time: datetime) -> None:
        """Record that the Map ended: items that are running were stopped."""
        for index in self._find("running"):
            self.end(index, "stopped", time, None)

    def resume_all(self) -> None:
        """Record that a redrive continues the items that failed or were stopped."""
        for status in ("failed", "stopped"):
            for index in list(self._find(status)):
                self.resume(index)

    def _find(self, status: ItemStatus) -> Iterator[int]:
        place, code = -1, _CODES[status]
        while (place := self._statuses.find(code, place + 1)) >= 0:
            yield place

    def get_key(self, index: int) -> str | None:
        """Return the key of an item."""
        return self._keys[index] if index < len(self) else None

    def count(self) -> dict[ItemStatus, int]:
        """Return the number of items with each status."""
        return {status: self._statuses.count(code) for status, code in _CODES.items()}

    def summarize(self) -> MapSummary:
        """Return the counts as a value."""
        return MapSummary(self.path, self.visit, self.count())

    def copy(self) -> MapItems:
        """Return all items as a value."""
        return MapItems(
            self.path,
            self.visit,
            self.count(),
            bytes(self._statuses),
            array("d", self._starts),
            array("d", self._stops),
            tuple(self._keys),
            dict(self._errors),
        )


def find_key(text: Any, redact: Redact) -> str | None:
    """Return a redacted name of an item from the JSON text of its input, or None if it has no readable name.

    It is the item itself if that is a text or a number; of an object, a field such as ``key``, ``name`` or ``id``; of a
    batch, the name of its first item.
    """
    if not isinstance(text, str) or len(text) > _MAX_INPUT:
        return None
    try:
        return _describe(json.loads(text), "", redact)
    except (ValueError, RecursionError):
        return None


def _describe(item: Any, name: str, redact: Redact) -> str | None:
    if isinstance(item, str | int | float) and not isinstance(item, bool):
        return str(redact(item, name))[:_MAX_KEY] or None
    if isinstance(item, dict):
        batch = item.get("Items")
        if isinstance(batch, list) and batch:
            first = _describe(batch[0], "", redact)
            return first if first is None or len(batch) == 1 else f"{first} + {len(batch) - 1} more"
        fields = {str(field).lower(): field for field in item}
        known = [fields[name] for name in _KEY_FIELDS if name in fields]
        for field in [*known, *(field for name, field in fields.items() if name.endswith(("_id", "id", "_key")))]:
            if isinstance(item[field], str | int) and not isinstance(item[field], bool):
                return _describe(item[field], str(field), redact)
    return None
