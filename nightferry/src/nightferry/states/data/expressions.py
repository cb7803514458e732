"""Compiled payload templates and fields: constants, paths, intrinsic functions and JSONata expressions.

Every expression has ``evaluate(scope, field)``, which returns a JSON value or raises StatesError. A part of a template
without expressions is a constant that all evaluations share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from nightferry.states.data import intrinsics, jsonata, paths
from nightferry.states.data.payload import Json
from nightferry.states.data.scope import Scope

Language = Literal["JSONPath", "JSONata"]


class Expression(Protocol):
    """A template or field that has a value in a scope."""

    def evaluate(self, scope: Scope, field: str, /) -> Json:
        """Return the value in ``scope``; ``field`` is the field's name in error messages."""


@dataclass(frozen=True)
class Constant:
    """A constant value."""

    value: Json

    def evaluate(self, _scope: Scope, _field: str) -> Json:
        """Return the value itself."""
        return self.value


@dataclass(frozen=True)
class PathExpression:
    """A JSONPath in a template or field."""

    path: paths.Path

    def evaluate(self, scope: Scope, field: str) -> Json:
        """Return the value that the path selects."""
        if scope.data is None and self.path.root == "$":
            raise scope.make_runtime_error("Unable to apply Path transformation to null or empty input.")
        try:
            return self.path.find(scope.get_root(self.path.root))
        except paths.PathNotFound:
            raise scope.make_not_found_error(self.path.text, field) from None


@dataclass(frozen=True)
class IntrinsicExpression:
    """A call of an intrinsic function."""

    call: intrinsics.FunctionCall

    def evaluate(self, scope: Scope, _field: str) -> Json:
        """Return the result of the intrinsic function."""
        return self.call.evaluate(scope)


@dataclass(frozen=True)
class JsonataExpression:
    """A JSONata expression ``{% … %}``."""

    source: str

    def evaluate(self, scope: Scope, field: str) -> Json:
        """Return the result of the JSONata expression."""
        return jsonata.evaluate(self.source, scope, field)


@dataclass(frozen=True)
class ObjectTemplate:
    """An object with at least one expression among its members."""

    members: tuple[tuple[str, Expression, str], ...]  # name, expression, name in the definition

    def evaluate(self, scope: Scope, field: str) -> Json:
        """Return an object with the value of each member."""
        return {name: item.evaluate(scope, _locate(field, item, written)) for name, item, written in self.members}


def _locate(field: str, item: Expression, written: str) -> str:
    """Return a member's name in a cause: as on AWS, only its own name for a path, and its full location otherwise."""
    return written if isinstance(item, PathExpression) else f"{field}/{written}"


@dataclass(frozen=True)
class ArrayTemplate:
    """An array with at least one expression among its items."""

    items: tuple[Expression, ...]

    def evaluate(self, scope: Scope, field: str) -> Json:
        """Return a list with the value of each item."""
        return [item.evaluate(scope, f"{field}[{index}]") for index, item in enumerate(self.items)]


@dataclass(frozen=True)
class BadExpression(Exception):
    """A string of a template does not compile; ``path`` is relative to the template."""

    path: str
    message: str


def compile_path(text: str) -> Expression:
    """Compile the path or call of a ``"name.$"`` member or a ``…Path`` field. Raises ValueError."""
    if intrinsics.is_call(text):
        return IntrinsicExpression(intrinsics.parse(text))
    return PathExpression(paths.parse(text))


def compile_template(value: Json, language: Language, *, error_output: bool = False) -> Expression:
    """Compile a payload template; ``error_output`` is True in a catcher. Raises BadExpression."""
    expression = _compile_value(value, language, "", error_output)
    return Constant(value) if expression is None else expression


def _compile_value(value: Json, language: Language, at: str, error_output: bool) -> Expression | None:
    """Return the compiled value, or None if it is a constant."""
    if isinstance(value, dict):
        members: list[tuple[str, Expression, str]] = []
        constant = True
        for name, item in value.items():
            if language == "JSONPath" and name.endswith(".$"):
                if name[:-2] in value:
                    raise BadExpression(
                        f"{at}['{name}']", f"The object has both '{name[:-2]}' and '{name}'. Remove one of them."
                    )
                members.append((name[:-2], _compile_dynamic_field(item, f"{at}['{name}']"), name))
                constant = False
                continue
            expression = _compile_value(item, language, f"{at}.{name}", error_output)
            constant = constant and expression is None
            members.append((name, Constant(item) if expression is None else expression, name))
        return None if constant else ObjectTemplate(tuple(members))
    if isinstance(value, list):
        items = [_compile_value(item, language, f"{at}[{index}]", error_output) for index, item in enumerate(value)]
        if all(item is None for item in items):
            return None
        pairs = zip(items, value, strict=True)
        return ArrayTemplate(tuple(Constant(raw) if item is None else item for item, raw in pairs))
    if language == "JSONata" and jsonata.is_expression(value):
        return JsonataExpression(_check_jsonata(jsonata.extract_source(value), at, error_output))
    return None


def _check_jsonata(source: str, at: str, error_output: bool) -> str:
    """Return a JSONata expression if it parses and has no invalid reference. Raises BadExpression."""
    try:
        compiled = jsonata.parse(source)
    except jsonata.JsonataSyntaxError as error:
        raise BadExpression(at, str(error)) from None
    if problem := compiled.find_forbidden_reference(error_output=error_output):
        raise BadExpression(at, problem)
    return source


def _compile_dynamic_field(value: Json, at: str) -> Expression:
    if not isinstance(value, str):
        raise BadExpression(
            at, "A field whose name ends with '.$' must be a path or an intrinsic function, as a string."
        )
    try:
        return compile_path(value)
    except ValueError as error:
        raise BadExpression(at, str(error)) from None


def iterate_paths(expression: Expression) -> Iterator[paths.Path]:
    """Yield every JSONPath in an expression."""
    match expression:
        case PathExpression():
            yield expression.path
        case IntrinsicExpression():
            yield from expression.call.iterate_paths()
        case ObjectTemplate():
            for _, item, _ in expression.members:
                yield from iterate_paths(item)
        case ArrayTemplate():
            for item in expression.items:
                yield from iterate_paths(item)
