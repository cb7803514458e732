"""Intrinsic functions: ``States.Format('Hello {}', $.name)``.

A call is compiled once into a tree of literals, paths and calls. Sources: Amazon States Language specification,
"Intrinsic Functions"; rounding and text forms as recorded from AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from nightferry.states.data import paths
from nightferry.states.data.errors import StatesError
from nightferry.states.data.intrinsic_functions import FUNCTIONS, Invalid
from nightferry.states.data.payload import Json, dumps, loads
from nightferry.states.data.scope import Scope

MAX_NESTING = 10
"""How deep calls may stand in one another."""


class IntrinsicSyntaxError(ValueError):
    """The text is not a call of an intrinsic function that Step Functions accepts."""


@dataclass(frozen=True)
class FunctionCall:
    """A compiled call: a function's name and its arguments."""

    text: str
    name: str
    arguments: tuple[Argument, ...]

    def evaluate(self, scope: Scope) -> Json:
        """The call's value. Raises StatesError ``States.IntrinsicFailure``, or what a path in it raises."""
        values = [_value(argument, scope) for argument in self.arguments]
        function, fewest, most = FUNCTIONS[self.name]
        try:
            if len(values) < fewest or (most is not None and len(values) > most):
                raise Invalid(f"Invalid number of arguments: {len(values)}")
            if self.name in ("States.MathRandom", "States.UUID"):
                return function(scope.rng(), *values)
            return function(*values)
        except Invalid as error:
            raise StatesError(
                "States.IntrinsicFailure",
                f"{scope.cause_prefix}The function '{self.text}' had the following error: {error}",
            ) from None

    def paths(self) -> Iterator[paths.Path]:
        """Every path in the call and in the calls within it."""
        for argument in self.arguments:
            if isinstance(argument, FunctionCall):
                yield from argument.paths()
            elif isinstance(argument, paths.Path):
                yield argument


@dataclass(frozen=True)
class LiteralArgument:
    """A literal argument."""

    value: Json


Argument = FunctionCall | paths.Path | LiteralArgument


def _value(argument: Argument, scope: Scope) -> Json:
    if isinstance(argument, LiteralArgument):
        return argument.value
    if isinstance(argument, FunctionCall):
        return argument.evaluate(scope)
    try:
        return argument.find(scope.root(argument.root))
    except paths.PathNotFound:
        raise scope.runtime_error(
            f"The JsonPath argument for the field '{argument.text}' could not be found in the input "
            f"'{dumps(scope.data)}'"
        ) from None


def is_call(text: str) -> bool:
    """Whether the text is meant as a call and not as a path."""
    return text.startswith("States.")


@lru_cache(maxsize=4096)
def parse(text: str) -> FunctionCall:
    """Compile a call. Raises IntrinsicSyntaxError."""
    parser = _Parser(text)
    call = parser.call(1)
    parser.space()
    if parser.at != len(text):
        raise parser.fail("nothing may follow the call")
    return call


_FUNCTION = re.compile(r"\s*(States\.[A-Za-z0-9]+)\s*\(")
_STRING = re.compile(r"\s*'((?:[^'\\]|\\.)*)'", re.DOTALL)
_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(?=[,)])")
_WORD = re.compile(r"\s*(true|false|null)\s*(?=[,)])")
_SPACE = re.compile(r"\s*")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, why: str) -> IntrinsicSyntaxError:
        return IntrinsicSyntaxError(f"{self.text!r} is not an intrinsic function: {why} at character {self.at + 1}.")

    def call(self, depth: int) -> FunctionCall:
        start = self.at
        match = self.match(_FUNCTION)
        if match is None:
            raise self.fail("a call such as States.Format('…', $.x) is expected")
        name = match[1]
        if name not in FUNCTIONS:
            self.at = start
            raise self.fail(f"there is no function {name}")
        if depth > MAX_NESTING:
            raise self.fail(f"calls may be nested {MAX_NESTING} deep, and no deeper,")
        arguments: list[Argument] = []
        self.space()
        if not self.text.startswith(")", self.at):
            arguments.append(self.argument(depth, template=name == "States.Format"))
            while self.text.startswith(",", self.at):
                self.at += 1
                arguments.append(self.argument(depth))
        if not self.text.startswith(")", self.at):
            raise self.fail("a ',' or ')' is expected")
        self.at += 1
        function, fewest, most = FUNCTIONS[name]
        del function
        if len(arguments) < fewest or (most is not None and len(arguments) > most):
            raise self.fail(f"{name} does not take {len(arguments)} arguments")
        text = self.text[start : self.at].strip()
        self.space()
        return FunctionCall(text, name, tuple(arguments))

    def argument(self, depth: int, *, template: bool = False) -> Argument:
        self.space()
        if self.text.startswith("$", self.at):
            return self.path()
        if (match := self.match(_STRING)) is not None:
            self.space()
            # The template of States.Format keeps its backslashes: there, \{} is no place for an argument.
            return LiteralArgument(match[1] if template else re.sub(r"\\(['{}\\])", r"\1", match[1]))
        if (match := self.match(_NUMBER)) is not None or (match := self.match(_WORD)) is not None:
            return LiteralArgument(loads(match[1]))
        return self.call(depth + 1)

    def path(self) -> paths.Path:
        end, depth, quote = self.at, 0, ""
        while end < len(self.text):
            character = self.text[end]
            if quote:
                quote = "" if character == quote else quote
            elif character in "'\"" and depth:
                quote = character
            elif character in "([":
                depth += 1
            elif character in ")]":
                if depth == 0:
                    break
                depth -= 1
            elif character == "," and depth == 0:
                break
            end += 1
        text = self.text[self.at : end].strip()
        try:
            path = paths.parse(text)
        except paths.PathSyntaxError as error:
            raise self.fail(f"{error} It stands") from None
        self.at = end
        return path

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def space(self) -> None:
        self.match(_SPACE)
