"""Filters of a JSONPath: ``?(@.status == 0 && @.name =~ /a.*/i)``.

A filter compiles to a predicate over one item. Operators: ``== != < <= > >= =~ in nin subsetof anyof noneof size
empty contains``, existence (``@.a``), ``&& || !`` and parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nightferry.states.data.payload import Json, loads

Predicate = Callable[[Json], bool]
_MISSING: Any = object()
_TOKEN = re.compile(
    r"\s*(?:(?P<op>&&|\|\||==|!=|<=|>=|=~|<|>|!|\(|\))"
    r"|(?P<path>@(?:\.[^\s.\[\]()<>=!&|,~]+|\['[^']*'\]|\[\"[^\"]*\"\]|\[-?\d+\])*)"
    r"|(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<regex>/(?:[^/\\]|\\.)+/i?)"
    r"|(?P<list>\[[^\]]*\])"
    r"|(?P<word>[A-Za-z]+))"
)
_PART = re.compile(r"\.([^\s.\[\]()<>=!&|,~]+)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(-?\d+)\]")


class FilterSyntaxError(ValueError):
    """The text is not a filter; ``at`` is the position of the error."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def parse(text: str, at: int) -> tuple[Predicate, int]:
    """Compile the filter in parentheses at ``at``; return it and its end. Raises FilterSyntaxError."""
    parser = _Parser(text, at)
    parser.expect("(")
    predicate = parser.parse_or()
    parser.expect(")")
    return predicate, parser.at


class _Parser:
    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at

    def peek(self) -> re.Match[str]:
        match = _TOKEN.match(self.text, self.at)
        if not match:
            raise FilterSyntaxError("expected a filter expression", self.at)
        return match

    def take(self, *operators: str) -> str | None:
        match = _TOKEN.match(self.text, self.at)
        if match and match.lastgroup in ("op", "word") and match[match.lastgroup] in operators:
            self.at = match.end()
            return match[match.lastgroup]
        return None

    def expect(self, operator: str) -> None:
        if self.take(operator) is None:
            raise FilterSyntaxError(f"expected '{operator}'", self.at)

    def parse_or(self) -> Predicate:
        parts = [self.parse_and()]
        while self.take("||"):
            parts.append(self.parse_and())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def parse_and(self) -> Predicate:
        parts = [self.parse_not()]
        while self.take("&&"):
            parts.append(self.parse_not())
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)

    def parse_not(self) -> Predicate:
        if self.take("!"):
            inner = self.parse_not()
            return lambda item: not inner(item)
        if self.take("("):
            inner = self.parse_or()
            self.expect(")")
            return inner
        left = self.parse_operand()
        operator = self.take(*_COMPARISONS)
        if operator is None:
            return lambda item: left(item) is not _MISSING
        right = self.parse_operand()
        compare = _COMPARISONS[operator]

        def holds(item: Json) -> bool:
            a, b = left(item), right(item)
            try:
                return compare(a, b)
            except TypeError:
                return False

        return holds

    def parse_operand(self) -> Callable[[Json], Any]:
        match = self.peek()
        kind, text = match.lastgroup, match[match.lastgroup or 0]
        constants = {"true": True, "false": False, "null": None}
        value: Any
        match kind:
            case "path":
                keys = [int(m[4]) if m[4] else m[1] or m[2] or m[3] for m in _PART.finditer(text)]
                self.at = match.end()
                return lambda item: _find(item, keys)
            case "string":
                value = re.sub(r"\\(.)", r"\1", text[1:-1])
            case "number":
                value = loads(text)
            case "regex":
                flags = re.IGNORECASE if text.endswith("i") else 0
                try:
                    value = re.compile(text[1 : text.rindex("/")], flags)
                except re.error as error:
                    raise FilterSyntaxError(f"invalid regular expression ({error})", self.at) from None
            case "list":
                try:
                    value = loads(text.replace("'", '"'))
                except ValueError:
                    raise FilterSyntaxError("invalid list", self.at) from None
            case "word" if text in constants:
                value = constants[text]
            case _:
                raise FilterSyntaxError("expected a path or a value", self.at)
        self.at = match.end()
        return lambda _: value


def _find(value: Json, keys: list[Any]) -> Any:
    for key in keys:
        named = isinstance(key, str) and isinstance(value, dict) and key in value
        if not named and not (isinstance(key, int) and isinstance(value, list) and -len(value) <= key < len(value)):
            return _MISSING
        value = value[key]
    return value


def _is_equal(a: Any, b: Any) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _compare_ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(a: Any, b: Any) -> bool:
        if isinstance(a, bool) or isinstance(b, bool):
            return False
        return compare(a, b)

    return holds


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _is_equal,
    "!=": lambda a, b: not _is_equal(a, b),
    "<": _compare_ordered(lambda a, b: a < b),
    "<=": _compare_ordered(lambda a, b: a <= b),
    ">": _compare_ordered(lambda a, b: a > b),
    ">=": _compare_ordered(lambda a, b: a >= b),
    "=~": lambda a, b: isinstance(a, str) and b.fullmatch(a) is not None,
    "in": lambda a, b: a is not _MISSING and any(_is_equal(a, item) for item in b),
    "nin": lambda a, b: a is not _MISSING and not any(_is_equal(a, item) for item in b),
    "subsetof": lambda a, b: all(any(_is_equal(x, y) for y in b) for x in a),
    "anyof": lambda a, b: any(any(_is_equal(x, y) for y in b) for x in a),
    "noneof": lambda a, b: not any(any(_is_equal(x, y) for y in b) for x in a),
    "size": lambda a, b: len(a) == b,
    "empty": lambda a, b: (len(a) == 0) == b,
    "contains": lambda a, b: b in a if isinstance(a, str) else any(_is_equal(x, b) for x in a),
}
