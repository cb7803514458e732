"""Find regular expressions whose time grows faster than the text, by generated texts that are hard for them."""

from __future__ import annotations

import re
import re._constants as c  # type: ignore[import-not-found]  # of Python's own parser of patterns
import re._parser as parser  # type: ignore[import-not-found]
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_REPEATS = (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT)
_OF_CATEGORY = {c.CATEGORY_DIGIT: "7", c.CATEGORY_SPACE: " ", c.CATEGORY_WORD: "w", c.CATEGORY_NOT_SPACE: "z"}
CHARACTERS = 1_000
_NEGLIGIBLE_SECONDS = 0.004
_GROWTH = 9.0  # of a text four times as long: linear is 4, quadratic is 16


def iterate_texts(patterns: Iterable[re.Pattern[str]], characters: int) -> Iterator[str]:
    """Yield texts that repeat parts of the patterns, between a beginning and an end that prevent a match."""
    for pattern in patterns:
        parts = _list_parts(pattern)
        for first in ["", *parts]:
            for repeated in parts:
                for last in ("", "\0", "\n!"):
                    yield first + repeated * (characters // len(repeated)) + last
                if first:
                    yield (first + repeated) * (characters // len(first + repeated)) + "\0"


def find_growth(call: Callable[[str], object], text: Callable[[int], str]) -> float | None:
    """Return the growth of the time of ``call`` for a text four times as long; None if both times are negligible."""
    longer = text(4 * CHARACTERS)
    if _measure(call, longer) < _NEGLIGIBLE_SECONDS:
        return None
    shorter = text(CHARACTERS)
    growth = min(_measure(call, longer) for _ in range(3)) / min(_measure(call, shorter) for _ in range(3))
    return growth if growth > _GROWTH else None


def find_slow(call: Callable[[str], object], patterns: Iterable[re.Pattern[str]]) -> list[tuple[str, float]]:
    """Return the beginnings and ends of the texts for which the time of ``call`` grows faster than the text."""
    found = []
    pairs = zip(iterate_texts(patterns, CHARACTERS), iterate_texts(patterns, 4 * CHARACTERS), strict=True)
    for shorter, longer in pairs:
        growth = find_growth(call, lambda n, texts=(shorter, longer): texts[n > CHARACTERS])  # type: ignore[misc]
        if growth is not None:
            found.append((f"{shorter[:30]!r}…{shorter[-10:]!r}", growth))
    return found


def _measure(call: Callable[[str], object], text: str) -> float:
    started = time.process_time()
    call(text)
    return time.process_time() - started


def _list_parts(pattern: re.Pattern[str]) -> list[str]:
    """Return short texts that parts of the pattern match."""
    parts: dict[str, None] = {}
    _walk(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE), parts)
    return [part for part in parts if part][:_MAX_PARTS]


_MAX_PARTS = 14


def _walk(tree: Any, parts: dict[str, None]) -> str:
    """Add the texts of the parts of a tree, and return one for the whole."""
    whole = ""
    for operation, value in tree:
        text = ""
        if operation is c.LITERAL:
            text = chr(value)
        elif operation is c.NOT_LITERAL or operation is c.ANY:
            text = "x"
        elif operation is c.IN:
            text = _choose(value, parts)
        elif operation in _REPEATS:
            text = _walk(value[2], parts)
            parts[text] = None
            text *= max(1, min(value[0], 3))
        elif operation is c.SUBPATTERN:
            text = _walk(value[3], parts)
            parts[text] = None
        elif operation is c.ATOMIC_GROUP:
            text = _walk(value, parts)
        elif operation is c.BRANCH:
            options = [_walk(branch, parts) for branch in value[1]]
            parts.update(dict.fromkeys(options))
            text = options[0]
        elif operation in (c.ASSERT, c.ASSERT_NOT):
            _walk(value[1], parts)
        whole += text
    parts[whole] = None
    return whole


def _choose(options: Any, parts: dict[str, None]) -> str:
    negated = options[0][0] is c.NEGATE
    for operation, value in options:
        if operation is c.LITERAL:
            parts[chr(value)] = None
        elif operation is c.RANGE:
            parts[chr(value[0])] = None
        elif operation is c.CATEGORY:
            parts[_OF_CATEGORY.get(value, "y")] = None
    if negated:
        return "x"
    first, value = options[0]
    return chr(value) if first is c.LITERAL else chr(value[0]) if first is c.RANGE else _OF_CATEGORY.get(value, "y")
