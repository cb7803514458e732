"""JSONata expressions (``{% … %}``) by the library ``jsonata-python``, with Step Functions' own functions.

Sources: Step Functions developer guide, "Transforming data with JSONata".
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from jsonata import Jsonata  # type: ignore[import-untyped]  # the library has no stubs
from jsonata.jexception import JException  # type: ignore[import-untyped]  # the library has no stubs
from jsonata.utils import Utils  # type: ignore[import-untyped]  # the library has no stubs

from nightferry.states.data import jsonata_errors
from nightferry.states.data.errors import StatesError
from nightferry.states.data.jsonata_functions import functions
from nightferry.states.data.payload import Json, dumps
from nightferry.states.data.scope import Scope

_NULL = Utils.NULL_VALUE  # how the library tells null from undefined, which is Python's None there
_DEEPEST = 100  # evaluations within each other, as measured on AWS
_MOST_STEPS = 500_000  # evaluations of one expression, a bound of ours: an endless loop must end


class JsonataSyntaxError(ValueError):
    """The text is not a JSONata expression."""


def is_expression(value: Json) -> bool:
    """Whether a string of a definition is a JSONata expression."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}") and len(value) >= 4


def source(value: str) -> str:
    """The expression between ``{%`` and ``%}``."""
    return value[2:-2].strip()


class _Expression(Jsonata):  # type: ignore[misc]  # the library has no stubs
    """An expression whose numbers are JavaScript's, where the library has Python's."""

    def evaluate_numeric_expression(self, lhs: Any, rhs: Any, op: str) -> Any:
        if not (Utils.is_numeric(lhs) and Utils.is_numeric(rhs)):
            return super().evaluate_numeric_expression(lhs, rhs, op)
        for side in (lhs, rhs):
            if not math.isfinite(side):
                raise JException("D1001", -1, None)
        if op not in "/%":
            return super().evaluate_numeric_expression(lhs, rhs, op)
        if rhs == 0:
            return math.nan if lhs == 0 or op == "%" else math.copysign(math.inf, lhs)
        return Utils.convert_number(float(lhs) / float(rhs) if op == "/" else math.fmod(lhs, rhs))


@lru_cache(maxsize=2048)
def parse(expression: str) -> Any:
    """Compile an expression. Raises JsonataSyntaxError."""
    try:
        compiled = _Expression(expression)
    except Exception as error:
        why = jsonata_errors.message(error) if isinstance(error, JException) else str(error)
        raise JsonataSyntaxError(f"{expression!r} is not a JSONata expression: {why}.") from None
    compiled.set_output_convert_nulls(False)
    return compiled


# $states itself, or a member that is not plain data: only then is the context object made.
_NEEDS_CONTEXT = re.compile(r"\$states\b(?!\s*\.\s*(?:input|result|errorOutput)\b)")


def evaluate(expression: str, scope: Scope, field: str) -> Json:
    """The expression's value. Raises StatesError ``States.QueryEvaluationError`` naming the ``field``."""
    compiled = parse(expression)
    frame = compiled.create_frame()
    states = dict(scope.states)
    if _NEEDS_CONTEXT.search(expression):
        states["context"] = scope.context_object()
    frame.bind("states", states)
    for name, value in scope.variables.items():
        frame.bind(name, _NULL if value is None else value)
    for name, function in functions(scope).items():
        frame.bind(name, function)
    _bound(frame)
    try:
        result = compiled.evaluate(None, frame)
    except _OutOfBounds as error:
        raise _threw(expression, scope, field, str(error)) from None
    except Exception as error:
        raise _threw(expression, scope, field, jsonata_errors.tail(error)) from None
    if result is None:
        raise failure(
            scope,
            field,
            f"The JSONata expression '{expression}' specified for the field '{field}' returned nothing (undefined).",
        )
    try:
        return _plain(result)
    except TypeError:
        raise failure(
            scope,
            field,
            f"The JSONata expression '{expression}' specified for the field '{field}' returned an unsupported result "
            "type.",
        ) from None


class _OutOfBounds(Exception):
    """The expression recurses too deeply or takes too many steps."""


def _bound(frame: Any) -> None:
    """Have the evaluation end where it would not end by itself. No clock: what counts are its steps."""
    depth = steps = 0

    def entered(_expression: Any, _input: Any, environment: Any) -> None:
        nonlocal depth, steps
        steps += 1
        if steps > _MOST_STEPS:
            raise _OutOfBounds(jsonata_errors.TOO_LONG)
        if not environment.is_parallel_call:
            depth += 1
            if depth > _DEEPEST:
                raise _OutOfBounds(jsonata_errors.STACK_OVERFLOW)

    def left(_expression: Any, _input: Any, environment: Any, _result: Any) -> None:
        nonlocal depth
        if not environment.is_parallel_call:
            depth -= 1

    frame.set_evaluate_entry_callback(entered)
    frame.set_evaluate_exit_callback(left)


def _threw(expression: str, scope: Scope, field: str, why: str) -> StatesError:
    return failure(
        scope,
        field,
        f"The JSONata expression '{expression}' specified for the field '{field}' threw an error during evaluation"
        f"{why}",
    )


def failure(scope: Scope, field: str | None, message: str) -> StatesError:
    """A ``States.QueryEvaluationError``, which the history tells in an event of its own."""
    return StatesError("States.QueryEvaluationError", f"{scope.cause_prefix}{message}", evaluation=True, location=field)


def wrong_type(scope: Scope, field: str, expression: str, expected: str, value: Json) -> StatesError:
    """The failure of an expression whose value has another type than the field takes."""
    if expected == type_name(value) == "number":
        expected = "integer"
    return failure(
        scope,
        field,
        f"The JSONata expression '{expression}' specified for the field '{field}' returned an unexpected result type. "
        f"Expected '{expected}', but was '{type_name(value)}' for value: {dumps(value)}",
    )


def out_of_range(scope: Scope, field: str, expression: str, value: Json) -> StatesError:
    """The failure of an expression whose value the field does not take."""
    return failure(
        scope,
        field,
        f"The JSONata expression '{expression}' specified for the field '{field}' returned a value that is out of "
        f"range: {dumps(value)}",
    )


def type_name(value: Json) -> str:
    """A value's type as messages name it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _plain(value: Any) -> Json:
    """The library's value as plain JSON; what is plain already is shared, not copied. Raises TypeError."""
    if value is _NULL:
        return None
    if isinstance(value, list):
        items = [_plain(value[index]) for index in range(len(value))]  # a range has length and index, but no items
        plain = type(value) is list and all(a is b for a, b in zip(items, value, strict=True))
        return value if plain else items
    if isinstance(value, dict):
        members = {key: _plain(item) for key, item in value.items()}
        return value if all(members[key] is value[key] for key in members) else members
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # as JSON has it; AWS lets 1/0 succeed
    raise TypeError(type(value))
