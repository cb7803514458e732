"""Rules of Choice states in JSONPath: ``{"Variable": "$.a", "NumericGreaterThan": 3}``, And, Or and Not.

A comparison is false if the types of the values do not match the operator. A boolean is not a number.
Sources: Amazon States Language specification, "Choice State"; cases recorded from AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightferry.states.data import paths
from nightferry.states.data.errors import StatesError
from nightferry.states.data.payload import Json
from nightferry.states.data.scope import Scope


@dataclass(frozen=True, slots=True)
class Comparison:
    """One operator on one variable. ``expected`` is a constant, or a path if the operator ends with Path."""

    variable: paths.Path
    operator: str
    expected: Json | paths.Path

    def holds(self, scope: Scope) -> bool:
        """Return True if the comparison holds in ``scope``."""
        if self.operator == "IsPresent":
            return self._is_present(scope) == self.expected
        actual = _find(self.variable, scope)
        test = TYPE_TESTS.get(self.operator)
        if test is not None:
            return test(actual) == self.expected
        expected = _find(self.expected, scope) if isinstance(self.expected, paths.Path) else self.expected
        return COMPARISONS[self.operator](actual, expected)

    def _is_present(self, scope: Scope) -> bool:
        try:
            self.variable.find(scope.get_root(self.variable.root))
        except (paths.PathNotFound, StatesError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class And:
    """A rule that holds if all of its rules hold."""

    rules: tuple[Rule, ...]

    def holds(self, scope: Scope) -> bool:
        """Return True if all rules hold in ``scope``."""
        return all(rule.holds(scope) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Or:
    """A rule that holds if at least one of its rules holds."""

    rules: tuple[Rule, ...]

    def holds(self, scope: Scope) -> bool:
        """Return True if at least one rule holds in ``scope``."""
        return any(rule.holds(scope) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Not:
    """A rule that holds if its inner rule does not."""

    rule: Rule

    def holds(self, scope: Scope) -> bool:
        """Return True if the inner rule does not hold in ``scope``."""
        return not self.rule.holds(scope)


Rule = Comparison | And | Or | Not


def _find(path: paths.Path, scope: Scope) -> Json:
    try:
        return path.find(scope.get_root(path.root))
    except paths.PathNotFound:
        raise scope.make_runtime_error(
            f"Invalid path '{path.text}': The choice state's condition path references an invalid value."
        ) from None


# ── operators ─────────────────────────────────────────────────────────────────────────────────────────────────


def is_number(value: Json) -> bool:
    """Return True for a number; booleans are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_string(value: Json) -> bool:
    """Return True for a string."""
    return isinstance(value, str)


def is_boolean(value: Json) -> bool:
    """Return True for true and false."""
    return isinstance(value, bool)


# RFC 3339 with ASL's profile: an uppercase T, and an uppercase Z or an offset.
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|[+-]\d{2}:\d{2})",
)


def parse_timestamp(value: Json) -> tuple[datetime, str] | None:
    """Return the instant of a timestamp and its digits below the microsecond, or None if the value is not one."""
    if not isinstance(value, str) or not (match := _TIMESTAMP.fullmatch(value)):
        return None
    fraction = (match[7] or "").ljust(9, "0")
    try:
        moment = datetime.fromisoformat(
            f"{match[1]}-{match[2]}-{match[3]}T{match[4]}:{match[5]}:{match[6] or '00'}.{fraction[:6]}"
            f"{'+00:00' if match[8] == 'Z' else match[8]}"
        )
    except ValueError:
        return None
    return moment, fraction[6:].rstrip("0")


def is_timestamp(value: Json) -> bool:
    """Return True for a string that is a timestamp in ASL's format."""
    return parse_timestamp(value) is not None


TYPE_TESTS: dict[str, Callable[[Json], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": is_number,
    "IsString": is_string,
    "IsBoolean": is_boolean,
    "IsTimestamp": is_timestamp,
}

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "GreaterThan": lambda a, b: a > b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThanEquals": lambda a, b: a >= b,
}


def _matches(actual: Json, pattern: Json) -> bool:
    r"""Return True if the text matches: ``*`` is any characters, ``\*`` an asterisk, ``\\`` a backslash.

    The first place of each part between two asterisks is the best one, so no part is searched twice.
    """
    if not isinstance(actual, str) or not isinstance(pattern, str):
        return False
    first, *others = _split_pattern(pattern)
    if not others:
        return actual == first
    *middle, last = others
    at, end = len(first), len(actual) - len(last)
    if at > end or not actual.startswith(first) or not actual.endswith(last):
        return False
    for part in middle:
        found = actual.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _split_pattern(pattern: str) -> list[str]:
    """Return the texts between the asterisks of a pattern."""
    parts = [""]
    for piece in re.findall(r"\\\\|\\\*|\*|[^\\*]+|\\", pattern):
        if piece == "*":
            parts.append("")
        else:
            parts[-1] += piece[1:] if piece in ("\\\\", "\\*") else piece
    return parts


def _make_comparison(
    test: Callable[[Json], bool], order: Callable[[Any, Any], bool], read: Callable[[Json], Any] = lambda value: value
) -> Callable[[Json, Json], bool]:
    return lambda a, b: test(a) and test(b) and order(read(a), read(b))


_TYPES: dict[str, tuple[Callable[[Json], bool], Callable[[Json], Any]]] = {
    "String": (is_string, lambda value: value.encode("utf-16-be", "surrogatepass")),  # Java's string order
    "Numeric": (is_number, lambda value: value),
    "Timestamp": (is_timestamp, parse_timestamp),
}

COMPARISONS: dict[str, Callable[[Json, Json], bool]] = {
    "BooleanEquals": _make_comparison(is_boolean, _ORDERS["Equals"]),
    "StringMatches": _matches,
    **{
        f"{kind}{name}": _make_comparison(test, order, read)
        for kind, (test, read) in _TYPES.items()
        for name, order in _ORDERS.items()
    },
}
PATH_OPERATORS = frozenset(f"{name}Path" for name in COMPARISONS if name != "StringMatches")

# The type test of each operator's constant, and the type's description for messages.
OPERAND_TESTS: dict[str, tuple[Callable[[Json], bool], str]] = {
    **dict.fromkeys((*TYPE_TESTS, "IsPresent", "BooleanEquals"), (is_boolean, "true or false")),
    "StringMatches": (is_string, "a string"),
    **dict.fromkeys((f"String{name}" for name in _ORDERS), (is_string, "a string")),
    **dict.fromkeys((f"Numeric{name}" for name in _ORDERS), (is_number, "a number")),
    **dict.fromkeys(
        (f"Timestamp{name}" for name in _ORDERS), (is_timestamp, "a timestamp such as '2026-11-24T00:00:00Z'")
    ),
}
