"""Payload templates and single fields, compiled: constants, paths, intrinsic functions, JSONata expressions.

Every expression has ``evaluate(scope, field)`` and answers a JSON value or raises StatesError. A part of a template
without expressions is a constant that all evaluations share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from nightferry.states.data import intrinsics, jsonata, jsonata_references, paths
from nightferry.states.data.payload import Json
from nightferry.states.data.scope import Scope

Language = Literal["JSONPath", "JSONata"]


class Expression(Protocol):
    """Something that has a value in a scope; ``field`` is the place in the state, for messages."""

    def evaluate(self, scope: Scope, field: str, /) -> Json:
        """Return the value in ``scope``; ``field`` names the place in an error."""


@dataclass(frozen=True)
class Constant:
    """A value that is what it is."""

    value: Json

    def evaluate(self, _scope: Scope, _field: str) -> Json:
        """Return the value itself."""
        return self.value


@dataclass(frozen=True)
class PathExpression:
    """A JSONPath in a template or field."""

    path: paths.Path

    def evaluate(self, scope: Scope, field: str) -> Json:
        """Return what the path selects."""
        if scope.data is None and self.path.root == "$":
            raise scope.runtime_error("Unable to apply Path transformation to null or empty input.")
        try:
            return self.path.find(scope.root(self.path.root))
        except paths.PathNotFound:
            raise scope.not_found(self.path.text, field) from None


@dataclass(frozen=True)
class IntrinsicExpression:
    """A call of an intrinsic function."""

    call: intrinsics.FunctionCall

    def evaluate(self, scope: Scope, _field: str) -> Json:
        """Return the result of the intrinsic function."""
        return self.call.evaluate(scope)


@dataclass(frozen=True)
class JsonataExpression:
    """A ``{% … %}``."""

    source: str

    def evaluate(self, scope: Scope, field: str) -> Json:
        """Return the result of the JSONata expression."""
        return jsonata.evaluate(self.source, scope, field)


@dataclass(frozen=True)
class ObjectTemplate:
    """An object some of whose members are expressions."""

    members: tuple[tuple[str, Expression, str], ...]  # name, expression, name as it stands in the definition

    def evaluate(self, scope: Scope, field: str) -> Json:
        """Return an object with the value of each member."""
        return {name: item.evaluate(scope, _place(field, item, written)) for name, item, written in self.members}


def _place(field: str, item: Expression, written: str) -> str:
    """How a cause names a member: a path only by its own name, as AWS does, anything else by the way to it."""
    return written if isinstance(item, PathExpression) else f"{field}/{written}"


@dataclass(frozen=True)
class ArrayTemplate:
    """An array some of whose items are expressions."""

    items: tuple[Expression, ...]

    def evaluate(self, scope: Scope, field: str) -> Json:
        """Return a list with the value of each item."""
        return [item.evaluate(scope, f"{field}[{index}]") for index, item in enumerate(self.items)]


@dataclass(frozen=True)
class BadExpression(Exception):
    """A string of a template does not compile: where (path below the template) and why."""

    path: str
    message: str


def jsonpath(text: str) -> Expression:
    """Compile the value of a ``"name.$"`` member or of a ``…Path`` field: a path, or a call. Raises ValueError."""
    if intrinsics.is_call(text):
        return IntrinsicExpression(intrinsics.parse(text))
    return PathExpression(paths.parse(text))


def template(value: Json, language: Language, *, error_output: bool = False) -> Expression:
    """Compile a payload template. ``error_output``: it stands in a catcher. Raises BadExpression."""
    expression = _template(value, language, "", error_output)
    return Constant(value) if expression is None else expression


def _template(value: Json, language: Language, at: str, error_output: bool) -> Expression | None:
    """The compiled value, or None when it is a constant."""
    if isinstance(value, dict):
        members: list[tuple[str, Expression, str]] = []
        constant = True
        for name, item in value.items():
            if language == "JSONPath" and name.endswith(".$"):
                if name[:-2] in value:
                    raise BadExpression(f"{at}['{name}']", f"The object has both '{name[:-2]}' and '{name}'.")
                members.append((name[:-2], _dollar(item, f"{at}['{name}']"), name))
                constant = False
                continue
            expression = _template(item, language, f"{at}.{name}", error_output)
            constant = constant and expression is None
            members.append((name, Constant(item) if expression is None else expression, name))
        return None if constant else ObjectTemplate(tuple(members))
    if isinstance(value, list):
        items = [_template(item, language, f"{at}[{index}]", error_output) for index, item in enumerate(value)]
        if all(item is None for item in items):
            return None
        pairs = zip(items, value, strict=True)
        return ArrayTemplate(tuple(Constant(raw) if item is None else item for item, raw in pairs))
    if language == "JSONata" and jsonata.is_expression(value):
        return JsonataExpression(_checked(jsonata.source(value), at, error_output))
    return None


def _checked(source: str, at: str, error_output: bool) -> str:
    """A JSONata expression that parses and refers to nothing that is not there."""
    try:
        compiled = jsonata.parse(source)
    except jsonata.JsonataSyntaxError as error:
        raise BadExpression(at, str(error)) from None
    if problem := jsonata_references.forbidden(compiled.ast, error_output=error_output):
        raise BadExpression(at, problem)
    return source


def _dollar(value: Json, at: str) -> Expression:
    if not isinstance(value, str):
        raise BadExpression(at, "A field whose name ends with '.$' must be a path or an intrinsic function, as text.")
    try:
        return jsonpath(value)
    except ValueError as error:
        raise BadExpression(at, str(error)) from None


def paths_in(expression: Expression) -> Iterator[paths.Path]:
    """Every JSONPath within an expression."""
    match expression:
        case PathExpression():
            yield expression.path
        case IntrinsicExpression():
            yield from expression.call.paths()
        case ObjectTemplate():
            for _, item, _ in expression.members:
                yield from paths_in(item)
        case ArrayTemplate():
            for item in expression.items:
                yield from paths_in(item)
