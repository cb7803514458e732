"""Intrinsic functions: ``States.Format('Hello {}', $.name)``.

A call is compiled once into a tree of literals, paths and calls. Sources: Amazon States Language specification,
"Intrinsic Functions"; rounding and number formats as recorded from AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from nightferry.states.data import paths
from nightferry.states.data.errors import StatesError
from nightferry.states.data.intrinsic_functions import FUNCTIONS, InvalidArguments
from nightferry.states.data.payload import Json, NotJson, dumps, loads
from nightferry.states.data.scope import Scope

MAX_NESTING = 10
"""The maximum depth of nested calls."""


class IntrinsicSyntaxError(ValueError):
    """The text is not a call of an intrinsic function that Step Functions accepts."""


@dataclass(frozen=True)
class FunctionCall:
    """A compiled call: a function's name and its arguments."""

    text: str
    name: str
    arguments: tuple[Argument, ...]

    def evaluate(self, scope: Scope) -> Json:
        """Return the call's value. Raises StatesError, such as ``States.IntrinsicFailure``."""
        values = [_evaluate_argument(argument, scope) for argument in self.arguments]
        function, fewest, most = FUNCTIONS[self.name]
        try:
            if len(values) < fewest or (most is not None and len(values) > most):
                raise InvalidArguments(f"Invalid number of arguments: {len(values)}")
            if self.name in ("States.MathRandom", "States.UUID"):
                return function(scope.get_rng(), *values)
            return function(*values)
        except (InvalidArguments, RecursionError) as error:
            reason = "A value is nested too deeply" if isinstance(error, RecursionError) else error
            raise StatesError(
                "States.IntrinsicFailure",
                f"{scope.cause_prefix}The function '{self.text}' had the following error: {reason}",
            ) from None

    def iterate_paths(self) -> Iterator[paths.Path]:
        """Yield every path in the call and its nested calls."""
        for argument in self.arguments:
            if isinstance(argument, FunctionCall):
                yield from argument.iterate_paths()
            elif isinstance(argument, paths.Path):
                yield argument


@dataclass(frozen=True)
class LiteralArgument:
    """A string, number, Boolean or null as an argument."""

    value: Json


Argument = FunctionCall | paths.Path | LiteralArgument


def _evaluate_argument(argument: Argument, scope: Scope) -> Json:
    if isinstance(argument, LiteralArgument):
        return argument.value
    if isinstance(argument, FunctionCall):
        return argument.evaluate(scope)
    try:
        return argument.find(scope.get_root(argument.root))
    except paths.PathNotFound:
        raise scope.make_runtime_error(
            f"The JsonPath argument for the field '{argument.text}' could not be found in the input "
            f"'{dumps(scope.data)}'"
        ) from None


def is_call(text: str) -> bool:
    """Return True if the text is a call of an intrinsic function instead of a path."""
    return text.startswith("States.")


@lru_cache(maxsize=4096)
def parse(text: str) -> FunctionCall:
    """Compile a call. Raises IntrinsicSyntaxError."""
    parser = _Parser(text)
    call = parser.parse_call(1)
    parser.skip_spaces()
    if parser.at != len(text):
        raise parser.fail("expected the end of the call")
    return call


_FUNCTION = re.compile(r"\s*(States\.[A-Za-z0-9]+)\s*\(")
_STRING = re.compile(r"\s*'((?:[^'\\]|\\.)*)'", re.DOTALL)
_UNKNOWN_ESCAPE = re.compile(r"""(?:[^\\]|\\['"{}\\])*?(\\[^'"{}\\])""", re.DOTALL)
_NUMBER = re.compile(r"\s*(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*(?=[,)])")
_WORD = re.compile(r"\s*(true|false|null)\s*(?=[,)])")
_SPACE = re.compile(r"\s*")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, reason: str) -> IntrinsicSyntaxError:
        return IntrinsicSyntaxError(f"{self.text!r} is not an intrinsic function: {reason} at character {self.at + 1}.")

    def parse_call(self, depth: int) -> FunctionCall:
        start = self.at
        match = self.match(_FUNCTION)
        if match is None:
            raise self.fail("expected a call such as States.Format('…', $.x)")
        name = match[1]
        if name not in FUNCTIONS:
            self.at = start
            raise self.fail(f"unknown function {name}")
        if depth > MAX_NESTING:
            raise self.fail(f"more than {MAX_NESTING} nested calls")
        arguments: list[Argument] = []
        self.skip_spaces()
        if not self.text.startswith(")", self.at):
            arguments.append(self.parse_argument(depth, template=name == "States.Format"))
            while self.text.startswith(",", self.at):
                self.at += 1
                arguments.append(self.parse_argument(depth))
        if not self.text.startswith(")", self.at):
            raise self.fail("expected ',' or ')'")
        self.at += 1
        function, fewest, most = FUNCTIONS[name]
        del function
        if len(arguments) < fewest or (most is not None and len(arguments) > most):
            raise self.fail(f"{name} does not accept {len(arguments)} arguments")
        text = self.text[start : self.at].strip()
        self.skip_spaces()
        return FunctionCall(text, name, tuple(arguments))

    def parse_argument(self, depth: int, *, template: bool = False) -> Argument:
        self.skip_spaces()
        if self.text.startswith("$", self.at):
            return self.parse_path()
        if (match := self.match(_STRING)) is not None:
            self.skip_spaces()
            if unknown := _UNKNOWN_ESCAPE.match(match[1]):
                raise self.fail(f"{unknown[1]} is not an escape. Use \\', \\{{, \\}} or \\\\")
            # The template of States.Format keeps its backslashes, because \{} in it is not a placeholder.
            return LiteralArgument(match[1] if template else re.sub(r"\\(['{}\\])", r"\1", match[1]))
        if (match := self.match(_NUMBER)) is not None or (match := self.match(_WORD)) is not None:
            try:
                return LiteralArgument(loads(match[1]))
            except NotJson as problem:
                raise self.fail(f"{problem}") from None
        return self.parse_call(depth + 1)

    def parse_path(self) -> paths.Path:
        end, depth, quote = self.at, 0, ""
        while end < len(self.text):
            character = self.text[end]
            if quote and character == "\\":
                end += 1
            elif quote:
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
            raise self.fail(f"invalid path ({error.args[0].rstrip('.')})") from None
        self.at = end
        return path

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def skip_spaces(self) -> None:
        self.match(_SPACE)
