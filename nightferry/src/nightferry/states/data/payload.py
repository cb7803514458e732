"""JSON values that pass through a state machine.

A payload contains a value and its JSON text; each is computed from the other on first use. A value never changes
once it is in a payload, so that states, events and branches share it without copying.
"""

from __future__ import annotations

import json
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_MISSING: Any = object()

Json = Any
"""A JSON value in Python: None, bool, int, float, str, list, or dict with str keys."""


def dumps(value: Json) -> str:
    """Return JSON text in the format of Step Functions: without spaces, and with non-ASCII characters unescaped."""
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
        """The value, parsed on first use."""
        if self._value is _MISSING:
            self._value = json.loads(self._text or "null")
        return self._value

    @property
    def text(self) -> str:
        """The JSON text, encoded on first use."""
        if self._text is None:
            self._text = _encode(self._value)
        return self._text

    def __repr__(self) -> str:
        return f"Payload({self.text})"


EMPTY = Payload({})
