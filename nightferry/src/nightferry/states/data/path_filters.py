"""Filters of a JSONPath: ``?(@.status == 0 && @.name =~ /a.*/i)``.

A filter compiles to a function that selects items. Operators: ``== != < <= > >= =~ in nin subsetof anyof noneof size
empty contains``, existence (``@.a``), ``&& || !`` and parentheses. A regular expression may need any time for a
text, so a JSONata worker matches the texts of all items, within its limits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jlens import JlensError

from nightferry.states.data.jsonata_pool import POOL, OutOfMemory, OutOfTime
from nightferry.states.data.jsonata_worker import compile_expression
from nightferry.states.data.path_names import QUOTED, choose_name, read_name
from nightferry.states.data.payload import Json, NotJson, loads

Matches = frozenset[tuple[int, str]]
"""For each regular expression of a filter, by its number, the texts that it matches."""

Predicate = Callable[[Json, Matches], bool]
Select = Callable[[list[Json]], list[Json]]
_MISSING: Any = object()
_MAX_NESTING = 30
_NAME = r"\.([^\s.\[\]()<>=!&|,~]+)"
_BRACKETS = rf"\.?\[\s*(?:({QUOTED})|(-?[0-9]{{1,10}}))\s*\]"
_PART = re.compile(f"{_NAME}|{_BRACKETS}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<op>&&|\|\||==|!=|<=|>=|=~|<|>|!|\(|\))"
    rf"|(?P<path>@(?:{_NAME}|{_BRACKETS})*)"
    r"|(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<regex>/(?:[^/\\]|\\.)+/i?)"
    r"|(?P<list>\[[^\]]*\])"
    r"|(?P<word>[A-Za-z]+))"
)


class FilterSyntaxError(ValueError):
    """The text is not a filter; ``at`` is the position of the error."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class MatchingFailed(Exception):
    """A regular expression of a filter needs too much time or memory for the texts."""


@dataclass(frozen=True)
class _Regex:
    """A regular expression of a filter, in JavaScript's form, and the operand that it is compared with."""

    operand: Callable[[Json], Any]
    literal: str


def parse(text: str, at: int) -> tuple[Select, int]:
    """Compile the filter in parentheses at ``at``; return it and its end. Raises FilterSyntaxError."""
    parser = _Parser(text, at)
    parser.expect("(")
    predicate = parser.parse_or()
    parser.expect(")")
    regexes = tuple(parser.regexes)

    def select(items: list[Json]) -> list[Json]:
        matches = _find_matches(regexes, items) if regexes else frozenset()
        return [item for item in items if predicate(item, matches)]

    return select, parser.at


def _find_matches(regexes: Sequence[_Regex], items: list[Json]) -> Matches:
    found: set[tuple[int, str]] = set()
    for number, regex in enumerate(regexes):
        texts = list({text for item in items if isinstance(text := regex.operand(item), str)})
        source = f"[$map($texts, function($text) {{ $contains($text, {regex.literal}) }})]"
        try:
            response = POOL.evaluate({"source": source, "bindings": {"texts": texts}, "now": 0, "seed": 0})
        except (OutOfTime, OutOfMemory):
            response = ""
        if not response.startswith("V"):
            raise MatchingFailed(f"the regular expression {regex.literal} needs too much time or memory")
        found.update((number, text) for text, matches in zip(texts, json.loads(response[1:]), strict=True) if matches)
    return frozenset(found)


class _Parser:
    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.regexes: list[_Regex] = []
        self.depth = 0

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
        return parts[0] if len(parts) == 1 else lambda item, matches: any(part(item, matches) for part in parts)

    def parse_and(self) -> Predicate:
        parts = [self.parse_not()]
        while self.take("&&"):
            parts.append(self.parse_not())
        return parts[0] if len(parts) == 1 else lambda item, matches: all(part(item, matches) for part in parts)

    def parse_not(self) -> Predicate:
        if self.depth > _MAX_NESTING:
            raise FilterSyntaxError(f"more than {_MAX_NESTING} nested operators", self.at)
        self.depth += 1
        try:
            return self.parse_nested()
        finally:
            self.depth -= 1

    def parse_nested(self) -> Predicate:
        if self.take("!"):
            inner = self.parse_not()
            return lambda item, matches: not inner(item, matches)
        if self.take("("):
            inner = self.parse_or()
            self.expect(")")
            return inner
        left = self.parse_operand()
        operator = self.take("=~", *COMPARISONS)
        if operator is None:
            return lambda item, _: left(item) is not _MISSING
        if operator == "=~":
            return self.parse_regex(left)
        right = self.parse_operand()
        compare = COMPARISONS[operator]

        def holds(item: Json, _: Matches) -> bool:
            a, b = left(item), right(item)
            try:
                return compare(a, b)
            except TypeError:
                return False

        return holds

    def parse_regex(self, left: Callable[[Json], Any]) -> Predicate:
        match = self.peek()
        if match.lastgroup != "regex":
            raise FilterSyntaxError("expected a regular expression", self.at)
        pattern, _, flags = match["regex"][1:].rpartition("/")
        number = len(self.regexes)
        self.regexes.append(_Regex(left, f"/^(?:{pattern})$/{flags}"))
        try:
            compile_expression(f"$contains('', {self.regexes[-1].literal})").evaluate_json(timeout=1)
        except JlensError:
            raise FilterSyntaxError("invalid regular expression", self.at) from None
        self.at = match.end()

        def holds(item: Json, matches: Matches) -> bool:
            text = left(item)
            return isinstance(text, str) and (number, text) in matches

        return holds

    def parse_operand(self) -> Callable[[Json], Any]:
        match = self.peek()
        kind, text = match.lastgroup, match[match.lastgroup or 0]
        constants = {"true": True, "false": False, "null": None}
        value: Any
        match kind:
            case "path":
                keys = [m[1] or (read_name(m[2]) if m[2] else int(m[3])) for m in _PART.finditer(text)]
                self.at = match.end()
                return lambda item: _find(item, keys)
            case "string":
                value = re.sub(r"\\(.)", r"\1", text[1:-1])
            case "number" | "list":
                try:
                    value = loads(text.replace("'", '"'))
                except NotJson:
                    raise FilterSyntaxError(f"invalid {kind}", self.at) from None
            case "word" if text in constants:
                value = constants[text]
            case _:
                raise FilterSyntaxError("expected a path or a value", self.at)
        self.at = match.end()
        return lambda _: value


def _find(value: Json, keys: list[Any]) -> Any:
    for key in keys:
        if isinstance(key, str) and isinstance(value, dict):
            key = choose_name(value, key)
        named = isinstance(key, str) and isinstance(value, dict) and key in value
        if not named and not (isinstance(key, int) and isinstance(value, list) and -len(value) <= key < len(value)):
            return _MISSING
        value = value[key]
    return value


def _is_equal(a: Any, b: Any) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _freeze_items(values: Any) -> set[Any]:
    """Return the items of an array as values that are equal for equal JSON values. Raises TypeError."""
    if not isinstance(values, list):
        raise TypeError
    return set(map(_freeze, values))


def _freeze(value: Json) -> Any:
    match value:
        case dict():
            return frozenset((name, _freeze(item)) for name, item in value.items())
        case list():
            return tuple(map(_freeze, value))
        case _:
            return isinstance(value, bool), value


def _compare_ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(a: Any, b: Any) -> bool:
        if isinstance(a, bool) or isinstance(b, bool):
            return False
        return compare(a, b)

    return holds


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _is_equal,
    "!=": lambda a, b: not _is_equal(a, b),
    "<": _compare_ordered(lambda a, b: a < b),
    "<=": _compare_ordered(lambda a, b: a <= b),
    ">": _compare_ordered(lambda a, b: a > b),
    ">=": _compare_ordered(lambda a, b: a >= b),
    "in": lambda a, b: a is not _MISSING and any(_is_equal(a, item) for item in b),
    "nin": lambda a, b: a is not _MISSING and not any(_is_equal(a, item) for item in b),
    "subsetof": lambda a, b: _freeze_items(a) <= _freeze_items(b),
    "anyof": lambda a, b: not _freeze_items(a).isdisjoint(_freeze_items(b)),
    "noneof": lambda a, b: _freeze_items(a).isdisjoint(_freeze_items(b)),
    "size": lambda a, b: len(a) == b,
    "empty": lambda a, b: (len(a) == 0) == b,
    "contains": lambda a, b: b in a if isinstance(a, str) else any(_is_equal(x, b) for x in a),
}
