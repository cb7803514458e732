"""JSON values that pass through a state machine.

A payload contains a value and its JSON text; each is computed from the other on first use. A value never changes
once it is in a payload, so that states, events and branches share it without copying.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_MISSING: Any = object()

Json = Any
"""A JSON value in Python: None, bool, int, float, str, list, or dict with str keys."""


class NotJson(ValueError):
    """The value or text is not JSON: with NaN, a number that is too large, half of a surrogate pair, or too deep."""


def dumps(value: Json) -> str:
    """Return JSON text in the format of Step Functions: without spaces, and with non-ASCII characters unescaped."""
    return _encode(value)


def dumps_strictly(value: Any) -> str:
    """Return JSON text as ``dumps`` does. Raises NotJson if the value has none."""
    try:
        text = _encode(value)
        if not text.isascii():
            text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _explain(error) from None
    return text


_NUMBER_LIMIT_CHARACTERS = 1_000  # as in Jackson, the parser of Step Functions
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def loads(text: str, pairs: Callable[[list[tuple[str, Json]]], Json] | None = None) -> Json:
    """Return the value of JSON text; ``pairs`` makes its objects. Raises NotJson.

    Python's parser also accepts NaN, Infinity, numbers that become infinite, and half of a surrogate pair.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_integer,
        )
        if _ESCAPED_SURROGATE.search(text):
            dumps(value).encode()
        elif not text.isascii():
            text.encode()
    except (ValueError, RecursionError) as error:
        raise _explain(error) from None
    return value


def _explain(error: Exception) -> NotJson:
    match error:
        case RecursionError():
            return NotJson("it is nested too deeply")
        case UnicodeEncodeError():
            return NotJson("a text contains half of a surrogate pair")
        case _:
            return NotJson(str(error))


def _refuse_constant(name: str) -> Json:
    raise NotJson(f"{name} is not a number of JSON")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJson(f"the number {text[:20]} is too large")
    return value


def _parse_integer(text: str) -> int:
    if len(text) > _NUMBER_LIMIT_CHARACTERS:
        raise NotJson(f"the number {text[:20]}… is too long")
    return int(text)


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
        """The JSON text, encoded on first use. Raises NotJson."""
        if self._text is None:
            self._text = dumps_strictly(self._value)
        return self._text

    def __repr__(self) -> str:
        return f"Payload({self.text})"


EMPTY = Payload({})
