"""JSON values on their way through a state machine.

A payload is the value and its JSON text, each made from the other when first asked for. Values are never changed
once they are in a payload, so that states, events and branches share them instead of copying.
"""

from __future__ import annotations

import json
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_MISSING: Any = object()

Json = Any
"""A JSON value as Python has it: None, bool, int, float, str, list, dict with str keys."""


def dumps(value: Json) -> str:
    """JSON text as Step Functions writes it: no spaces, text as it is."""
    return _encode(value)


loads = json.loads


class Payload:
    """A JSON value together with its text."""

    __slots__ = ("_text", "_value")

    def __init__(self, value: Json = _MISSING, text: str | None = None) -> None:
        self._value = value
        self._text = text

    @property
    def value(self) -> Json:
        """Return the value, parsed at the first call."""
        if self._value is _MISSING:
            self._value = json.loads(self._text or "null")
        return self._value

    @property
    def text(self) -> str:
        """Return the JSON text, encoded at the first call."""
        if self._text is None:
            self._text = _encode(self._value)
        return self._text

    def __repr__(self) -> str:
        return f"Payload({self.text})"


EMPTY = Payload({})
