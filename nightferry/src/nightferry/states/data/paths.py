"""JSONPath in Step Functions' dialect (Jayway's JsonPath), and reference paths.

A path is compiled once. ``$`` is the state's data, ``$$`` the context object, and ``$name`` a variable. A *definite*
path (only names and single indexes) returns exactly one value or fails; any other path returns the list of its matches,
which may be empty. A *reference path* is definite and can be written to (ResultPath).

Sources: Amazon States Language specification, "Paths"; JsonPath's documentation of its operators and functions.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from nightferry.states.data import path_filters
from nightferry.states.data.path_names import QUOTED, choose_name, read_name
from nightferry.states.data.payload import Json

PathStep = Callable[[list[Json]], Iterable[Json]]


class PathSyntaxError(ValueError):
    """The text is not a JSONPath that Step Functions accepts."""


class PathNotFound(LookupError):
    """A definite path matches nothing in the given data."""


class TooManyMatches(Exception):
    """A path matches more values than the data can contain, because it selects the same values repeatedly."""


_MATCH_LIMIT = 300_000  # more than the values in data of 262,144 bytes


@dataclass(frozen=True)
class Path:
    """A compiled path. ``root`` is ``$``, ``$$`` or the name of a variable."""

    text: str
    root: str
    keys: tuple[str | int, ...] | None  # the whole path if it is definite
    steps: tuple[PathStep, ...]  # the steps of an indefinite path; each maps matches to matches
    function: Callable[[Json], Json] | None = None

    @property
    def definite(self) -> bool:
        """True if the path selects one value, False if it selects a list."""
        return self.keys is not None

    def find(self, data: Json) -> Json:
        """Return the path's value in ``data``, or the list of matches if it is indefinite. Raises PathNotFound."""
        if self.keys is not None:
            value = data
            for key in self.keys:
                value = _get_member(value, key, self.text)
        else:
            value = [data]
            for step in self.steps:
                value = _collect(step(value))
        if self.function is not None:
            try:
                return self.function(value)
            except (TypeError, ValueError, OverflowError, statistics.StatisticsError):
                raise PathNotFound(self.text) from None
        return value


def _collect(values: Iterable[Json]) -> list[Json]:
    found = list(islice(values, _MATCH_LIMIT + 1))
    if len(found) > _MATCH_LIMIT:
        raise TooManyMatches(f"a path has more than {_MATCH_LIMIT:,} matches")
    return found


def _get_member(value: Json, key: str | int, path: str) -> Json:
    if isinstance(key, str):
        if isinstance(value, dict) and (name := choose_name(value, key)) in value:
            return value[name]
    elif isinstance(value, list) and -len(value) <= key < len(value):
        return value[key]
    raise PathNotFound(path)


def explain_not_found(path: Path, data: Json) -> str:
    """Return JsonPath's message for a path that :meth:`Path.find` did not find; AWS quotes it."""
    prefix = "$"
    for index, key in enumerate(path.keys or ()):
        last = index == len(path.keys or ()) - 1
        current = f"{prefix}[{key}]" if isinstance(key, int) else f"{prefix}['{key}']"
        try:
            data = _get_member(data, key, path.text)
        except PathNotFound:
            if isinstance(key, str) and isinstance(data, dict) and not last:
                return f"Missing property in path {current}"
            break
        prefix = current
    whole = "".join(f"[{key}]" if isinstance(key, int) else f"['{key}']" for key in path.keys or ())
    return f"No results for path: ${whole}"


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """Compile ``text``. Raises PathSyntaxError."""
    return _Parser(text).parse_path()


def is_reference(path: Path) -> bool:
    """Return True if a value can be written to the path: definite, without negative indexes or functions."""
    return (
        path.keys is not None and path.function is None and all(isinstance(key, str) or key >= 0 for key in path.keys)
    )


def put(data: Json, keys: tuple[str | int, ...], value: Json) -> Json:
    """Return ``data`` with ``value`` at ``keys``; containers on the path are copied, other values are shared.

    Raises PathNotFound if a name would be added to a value that is not an object, or if an index does not exist.
    """
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(key, str):
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise PathNotFound(key)
        key = choose_name(data, key)
        return {**data, key: put(data.get(key, {} if rest else None), rest, value)}
    if not isinstance(data, list) or not 0 <= key < len(data):
        raise PathNotFound(str(key))
    return [*data[:key], put(data[key], rest, value), *data[key + 1 :]]


# ── parsing ───────────────────────────────────────────────────────────────────────────────────────────────────

_END: Json = object()
_ROOT = re.compile(r"\$\$|\$([A-Za-z_][A-Za-z0-9_]*)?")
_NAME = re.compile(r"[^\s.\[\]()'\"$@*,:?~^]+")
_QUOTED = re.compile(QUOTED, re.DOTALL)
_DIGITS = "-?[0-9]{1,10}"
_INTEGER = re.compile(rf"\s*+({_DIGITS})\s*+")
_SLICE = re.compile(rf"\s*+({_DIGITS})?\s*+:\s*+({_DIGITS})?\s*+(?::\s*+({_DIGITS})?\s*+)?")

FUNCTIONS: dict[str, Callable[[Json], Json]] = {
    "length": len,
    "size": len,
    "min": min,
    "max": max,
    "avg": lambda values: statistics.fmean(values),
    "sum": lambda values: sum(values),
    "stddev": lambda values: statistics.pstdev(values),
    "keys": lambda value: list(value.keys()) if isinstance(value, dict) else _reject(),
    "first": lambda values: values[0] if values else _reject(),
    "last": lambda values: values[-1] if values else _reject(),
}


def _reject() -> Json:
    raise ValueError


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.keys: list[str | int] | None = []
        self.steps: list[PathStep] = []

    def fail(self, reason: str) -> PathSyntaxError:
        return PathSyntaxError(f"{self.text!r} is not a JSONPath: {reason} at character {self.at + 1}.")

    def parse_path(self) -> Path:
        match = _ROOT.match(self.text)
        if not match:
            raise self.fail("expected $")
        root = match[1] or match[0]
        self.at = match.end()
        function = None
        while self.at < len(self.text):
            if self.text.startswith("..", self.at):
                self.at += 2
                self.make_indefinite()
                self.steps.append(_descend)
                if not self.text.startswith("[", self.at):
                    self.parse_name()
            elif self.text[self.at] == ".":
                self.at += 1
                if self.text.startswith("[", self.at):  # AWS documents $.abc.['def ghi']
                    self.parse_bracket()
                    continue
                function = self.parse_function()
                if function is not None:
                    break
                self.parse_name()
            elif self.text[self.at] == "[":
                self.parse_bracket()
            else:
                raise self.fail("expected '.' or '['")
        keys = None if self.keys is None else tuple(self.keys)
        return Path(self.text, root, keys, tuple(self.steps), function)

    def parse_function(self) -> Callable[[Json], Json] | None:
        match = re.compile(r"([a-z]+)\(\s*\)\s*$").match(self.text, self.at)
        if match is None:
            return None
        if match[1] not in FUNCTIONS:
            raise self.fail(f"unknown function {match[1]}()")
        self.at = match.end()
        return FUNCTIONS[match[1]]

    def parse_name(self) -> None:
        if self.text.startswith("*", self.at):
            self.at += 1
            self.add_step(_select_children)
            return
        match = _NAME.match(self.text, self.at)
        if not match:
            raise self.fail("expected a name")
        self.at = match.end()
        self.add_key(match[0])

    def parse_bracket(self) -> None:
        self.at += 1
        self.skip_spaces()
        if self.text.startswith("*", self.at):
            self.at += 1
            self.skip_spaces()
            self.expect_bracket()
            self.add_step(_select_children)
        elif self.text.startswith("?", self.at):
            self.at += 1
            self.skip_spaces()
            try:
                select, self.at = path_filters.parse(self.text, self.at)
            except path_filters.FilterSyntaxError as error:
                self.at = error.at
                raise self.fail(str(error)) from None
            self.skip_spaces()
            self.expect_bracket()
            self.add_step(lambda values: select([item for value in values for item in _iterate_children(value)]))
        elif self.text[self.at : self.at + 1] in ("'", '"'):
            self.parse_quoted_names()
        else:
            self.parse_indexes()

    def parse_quoted_names(self) -> None:
        names: list[str] = []
        while True:
            self.skip_spaces()
            match = _QUOTED.match(self.text, self.at)
            if not match:
                raise self.fail("expected a quoted name")
            names.append(read_name(match[0]))
            self.at = match.end()
            self.skip_spaces()
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
        self.expect_bracket()
        if len(names) == 1:
            self.add_key(names[0])
        else:
            self.add_step(
                lambda values: (
                    {name: value[name] for name in (choose_name(value, n) for n in names) if name in value}
                    for value in values
                    if isinstance(value, dict)
                )
            )

    def parse_indexes(self) -> None:
        match = _SLICE.match(self.text, self.at)
        if match:
            self.at = match.end()
            self.expect_bracket()
            start, stop, step = (int(part) if part else None for part in match.groups())
            if step == 0:
                raise self.fail("slice step 0 is not allowed")
            self.add_step(
                lambda values: (i for value in values if isinstance(value, list) for i in value[start:stop:step])
            )
            return
        indexes: list[int] = []
        while True:
            match = _INTEGER.match(self.text, self.at)
            if not match:
                raise self.fail("expected an index, a slice, a quoted name, * or ?()")
            indexes.append(int(match[1]))
            self.at = match.end()
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
        self.expect_bracket()
        if len(indexes) == 1:
            self.add_key(indexes[0])
        else:
            self.add_step(lambda values: (i for value in values for key in indexes for i in _iterate_at(value, key)))

    def add_key(self, key: str | int) -> None:
        if self.keys is not None:
            self.keys.append(key)
        self.steps.append(lambda values: (item for value in values for item in _iterate_at(value, key)))

    def add_step(self, step: PathStep) -> None:
        self.make_indefinite()
        self.steps.append(step)

    def make_indefinite(self) -> None:
        self.keys = None

    def skip_spaces(self) -> None:
        while self.text.startswith(" ", self.at):
            self.at += 1

    def expect_bracket(self) -> None:
        if not self.text.startswith("]", self.at):
            raise self.fail("expected ']'")
        self.at += 1


def _iterate_at(value: Json, key: str | int) -> Iterator[Json]:
    if isinstance(key, str):
        if isinstance(value, dict) and (name := choose_name(value, key)) in value:
            yield value[name]
    elif isinstance(value, list) and -len(value) <= key < len(value):
        yield value[key]


def _iterate_children(value: Json) -> Iterable[Json]:
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def _select_children(values: list[Json]) -> Iterator[Json]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value


def _descend(values: list[Json]) -> Iterator[Json]:
    """Yield each value followed by the values in it, at any depth."""
    pending = [iter(values)]
    while pending:
        value = next(pending[-1], _END)
        if value is _END:
            pending.pop()
            continue
        yield value
        if isinstance(value, dict | list):
            pending.append(iter(value.values() if isinstance(value, dict) else value))
