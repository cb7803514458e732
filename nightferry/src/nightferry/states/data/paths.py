"""JSONPath, as Step Functions reads it (the dialect of Jayway's JsonPath), and reference paths.

A path is compiled once. ``$`` is the state's data, ``$$`` the context object, ``$name`` a variable. A *definite* path
(only names and single indexes) has exactly one value or fails; any other path answers the list of what it matches,
which may be empty. A *reference path* is definite and may be written to (ResultPath).

Sources: Amazon States Language specification, "Paths"; JsonPath's description of its operators and functions.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nightferry.states.data import path_filters
from nightferry.states.data.payload import Json

PathStep = Callable[[list[Json]], list[Json]]


class PathSyntaxError(ValueError):
    """The text is not a JSONPath that Step Functions accepts."""


class PathNotFound(LookupError):
    """A definite path leads to nothing in the given data."""


@dataclass(frozen=True)
class Path:
    """A compiled path. ``root`` is ``$``, ``$$`` or the name of a variable."""

    text: str
    root: str
    keys: tuple[str | int, ...] | None  # the whole path, if it is definite
    steps: tuple[PathStep, ...]  # else its steps, each from matches to matches
    function: Callable[[Json], Json] | None = None

    @property
    def definite(self) -> bool:
        """Return True if the path selects one value, False if it selects a list."""
        return self.keys is not None

    def find(self, data: Json) -> Json:
        """The value (or, of an indefinite path, the list of values) in ``data``. Raises PathNotFound."""
        if self.keys is not None:
            value = data
            for key in self.keys:
                value = _member(value, key, self.text)
        else:
            value = [data]
            for step in self.steps:
                value = step(value)
        if self.function is not None:
            try:
                return self.function(value)
            except (TypeError, ValueError, statistics.StatisticsError):
                raise PathNotFound(self.text) from None
        return value


def _member(value: Json, key: str | int, path: str) -> Json:
    if isinstance(key, str):
        if isinstance(value, dict) and key in value:
            return value[key]
    elif isinstance(value, list) and -len(value) <= key < len(value):
        return value[key]
    raise PathNotFound(path)


def why_not_found(path: Path, data: Json) -> str:
    """Why :meth:`Path.find` raised PathNotFound, as JsonPath says it and AWS quotes it."""
    way = "$"
    for index, key in enumerate(path.keys or ()):
        last = index == len(path.keys or ()) - 1
        here = f"{way}[{key}]" if isinstance(key, int) else f"{way}['{key}']"
        try:
            data = _member(data, key, path.text)
        except PathNotFound:
            if isinstance(key, str) and isinstance(data, dict) and not last:
                return f"Missing property in path {here}"
            break
        way = here
    whole = "".join(f"[{key}]" if isinstance(key, int) else f"['{key}']" for key in path.keys or ())
    return f"No results for path: ${whole}"


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """Compile ``text``. Raises PathSyntaxError."""
    return _Parser(text).path()


def is_reference(path: Path) -> bool:
    """Whether a value can be written there: definite, and without negative indexes or functions."""
    return (
        path.keys is not None and path.function is None and all(isinstance(key, str) or key >= 0 for key in path.keys)
    )


def put(data: Json, keys: tuple[str | int, ...], value: Json) -> Json:
    """``data`` with ``value`` at the place, what is on the way copied, the rest shared.

    Raises PathNotFound where a name is to be put into something that is not an object, or an index does not exist.
    """
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(key, str):
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise PathNotFound(key)
        return {**data, key: put(data.get(key, {} if rest else None), rest, value)}
    if not isinstance(data, list) or not 0 <= key < len(data):
        raise PathNotFound(str(key))
    return [*data[:key], put(data[key], rest, value), *data[key + 1 :]]


# ── parsing ───────────────────────────────────────────────────────────────────────────────────────────────────

_ROOT = re.compile(r"\$\$|\$([A-Za-z_][A-Za-z0-9_]*)?")
_NAME = re.compile(r"[^\s.\[\]()'\"$@*,:?~^]+")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_INTEGER = re.compile(r"\s*(-?\d+)\s*")
_SLICE = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?")

_FUNCTIONS: dict[str, Callable[[Json], Json]] = {
    "length": len,
    "size": len,
    "min": min,
    "max": max,
    "avg": lambda values: statistics.fmean(values),
    "sum": lambda values: sum(values),
    "stddev": lambda values: statistics.pstdev(values),
    "keys": lambda value: list(value.keys()) if isinstance(value, dict) else _refuse(),
    "first": lambda values: values[0] if values else _refuse(),
    "last": lambda values: values[-1] if values else _refuse(),
}


def _refuse() -> Json:
    raise ValueError


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.keys: list[str | int] | None = []
        self.steps: list[PathStep] = []

    def fail(self, why: str) -> PathSyntaxError:
        return PathSyntaxError(f"{self.text!r} is not a JSONPath: {why} at character {self.at + 1}.")

    def path(self) -> Path:
        match = _ROOT.match(self.text)
        if not match:
            raise self.fail("a path starts with $")
        root = match[1] or match[0]
        self.at = match.end()
        function = None
        while self.at < len(self.text):
            if self.text.startswith("..", self.at):
                self.at += 2
                self.definite_no_more()
                self.steps.append(_descend)
                if not self.text.startswith("[", self.at):
                    self.name()
            elif self.text[self.at] == ".":
                self.at += 1
                function = self.called()
                if function is not None:
                    break
                self.name()
            elif self.text[self.at] == "[":
                self.bracket()
            else:
                raise self.fail("a '.' or '[' is expected")
        keys = None if self.keys is None else tuple(self.keys)
        return Path(self.text, root, keys, tuple(self.steps), function)

    def called(self) -> Callable[[Json], Json] | None:
        match = re.compile(r"([a-z]+)\(\s*\)\s*$").match(self.text, self.at)
        if match is None:
            return None
        if match[1] not in _FUNCTIONS:
            raise self.fail(f"there is no function {match[1]}()")
        self.at = match.end()
        return _FUNCTIONS[match[1]]

    def name(self) -> None:
        if self.text.startswith("*", self.at):
            self.at += 1
            self.many(_wildcard)
            return
        match = _NAME.match(self.text, self.at)
        if not match:
            raise self.fail("a name is expected")
        self.at = match.end()
        self.one(match[0])

    def bracket(self) -> None:
        self.at += 1
        self.space()
        if self.text.startswith("*", self.at):
            self.at += 1
            self.space()
            self.close()
            self.many(_wildcard)
        elif self.text.startswith("?", self.at):
            self.at += 1
            self.space()
            try:
                predicate, self.at = path_filters.parse(self.text, self.at)
            except path_filters.FilterSyntaxError as error:
                self.at = error.at
                raise self.fail(str(error)) from None
            self.space()
            self.close()
            self.many(lambda values: [item for value in values for item in _children(value) if predicate(item)])
        elif self.text[self.at : self.at + 1] in ("'", '"'):
            self.names()
        else:
            self.indexes()

    def names(self) -> None:
        names: list[str] = []
        while True:
            self.space()
            match = _QUOTED.match(self.text, self.at)
            if not match:
                raise self.fail("a quoted name is expected")
            names.append(re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2]))
            self.at = match.end()
            self.space()
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
        self.close()
        if len(names) == 1:
            self.one(names[0])
        else:
            self.many(
                lambda values: [
                    {name: value[name] for name in names if name in value}
                    for value in values
                    if isinstance(value, dict)
                ]
            )

    def indexes(self) -> None:
        match = _SLICE.match(self.text, self.at)
        if match:
            self.at = match.end()
            self.close()
            start, stop, step = (int(part) if part else None for part in match.groups())
            if step == 0:
                raise self.fail("a slice's step must not be 0")
            self.many(lambda values: [i for value in values if isinstance(value, list) for i in value[start:stop:step]])
            return
        indexes: list[int] = []
        while True:
            match = _INTEGER.match(self.text, self.at)
            if not match:
                raise self.fail("an index, a slice, a quoted name, * or ?() is expected")
            indexes.append(int(match[1]))
            self.at = match.end()
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
        self.close()
        if len(indexes) == 1:
            self.one(indexes[0])
        else:
            self.many(lambda values: [i for value in values for key in indexes for i in _at(value, key)])

    def one(self, key: str | int) -> None:
        if self.keys is not None:
            self.keys.append(key)
        self.steps.append(lambda values: [item for value in values for item in _at(value, key)])

    def many(self, step: PathStep) -> None:
        self.definite_no_more()
        self.steps.append(step)

    def definite_no_more(self) -> None:
        self.keys = None

    def space(self) -> None:
        while self.text.startswith(" ", self.at):
            self.at += 1

    def close(self) -> None:
        if not self.text.startswith("]", self.at):
            raise self.fail("a ']' is expected")
        self.at += 1


def _at(value: Json, key: str | int) -> Iterator[Json]:
    if isinstance(key, str):
        if isinstance(value, dict) and key in value:
            yield value[key]
    elif isinstance(value, list) and -len(value) <= key < len(value):
        yield value[key]


def _children(value: Json) -> Iterable[Json]:
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def _wildcard(values: list[Json]) -> list[Json]:
    found: list[Any] = []
    for value in values:
        if isinstance(value, dict):
            found.extend(value.values())
        elif isinstance(value, list):
            found.extend(value)
    return found


def _descend(values: list[Json]) -> list[Json]:
    found: list[Any] = []
    for value in values:
        found.append(value)
        if isinstance(value, dict | list):
            found.extend(_descend(list(value.values()) if isinstance(value, dict) else value))
    return found
