"""JSONata expressions (``{% … %}``), evaluated by the library ``jsonata-python`` with Step Functions' own functions.

Source: Step Functions developer guide, "Transforming data with JSONata".
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
from nightferry.states.data.jsonata_functions import make_functions
from nightferry.states.data.payload import Json, dumps
from nightferry.states.data.scope import Scope

_NULL = Utils.NULL_VALUE  # the library's JSON null; Python's None is its undefined
_DEPTH_LIMIT = 100  # nested evaluations, as measured on AWS
_STEP_LIMIT = 500_000  # evaluations of one expression; our own limit, which ends endless loops


class JsonataSyntaxError(ValueError):
    """The text is not a JSONata expression."""


def is_expression(value: Json) -> bool:
    """Return True if a value of a definition is a JSONata expression."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}") and len(value) >= 4


def extract_source(value: str) -> str:
    """Return the expression between ``{%`` and ``%}``."""
    return value[2:-2].strip()


class _Expression(Jsonata):  # type: ignore[misc]  # the library has no stubs
    """An expression with JavaScript's arithmetic instead of Python's."""

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
        reason = jsonata_errors.format_message(error) if isinstance(error, JException) else str(error)
        raise JsonataSyntaxError(f"{expression!r} is not a JSONata expression: {reason}.") from None
    compiled.set_output_convert_nulls(False)
    return compiled


# $states itself or its context. The context object is built only for expressions that match this.
_CONTEXT_REFERENCE = re.compile(r"\$states\b(?!\s*\.\s*(?:input|result|errorOutput)\b)")


def evaluate(expression: str, scope: Scope, field: str) -> Json:
    """Return the expression's value. Raises StatesError ``States.QueryEvaluationError`` that names the ``field``."""
    compiled = parse(expression)
    frame = compiled.create_frame()
    states = dict(scope.states)
    if _CONTEXT_REFERENCE.search(expression):
        states["context"] = scope.get_context_object()
    frame.bind("states", states)
    for name, value in scope.variables.items():
        frame.bind(name, _NULL if value is None else value)
    for name, function in make_functions(scope).items():
        frame.bind(name, function)
    _limit_evaluation(frame)
    try:
        result = compiled.evaluate(None, frame)
    except _LimitExceeded as error:
        raise _make_evaluation_error(expression, scope, field, str(error)) from None
    except Exception as error:
        raise _make_evaluation_error(expression, scope, field, jsonata_errors.format_suffix(error)) from None
    if result is None:
        raise make_error(
            scope,
            field,
            f"The JSONata expression '{expression}' specified for the field '{field}' returned nothing (undefined).",
        )
    try:
        return _convert_to_json(result)
    except TypeError:
        raise make_error(
            scope,
            field,
            f"The JSONata expression '{expression}' specified for the field '{field}' returned an unsupported result "
            "type.",
        ) from None


class _LimitExceeded(Exception):
    """The expression recurses too deeply or needs too many steps."""


def _limit_evaluation(frame: Any) -> None:
    """Limit the depth and the steps of the evaluation. Steps are counted because time would not be deterministic."""
    depth = steps = 0

    def enter(_expression: Any, _input: Any, environment: Any) -> None:
        nonlocal depth, steps
        steps += 1
        if steps > _STEP_LIMIT:
            raise _LimitExceeded(jsonata_errors.TOO_LONG)
        if not environment.is_parallel_call:
            depth += 1
            if depth > _DEPTH_LIMIT:
                raise _LimitExceeded(jsonata_errors.STACK_OVERFLOW)

    def leave(_expression: Any, _input: Any, environment: Any, _result: Any) -> None:
        nonlocal depth
        if not environment.is_parallel_call:
            depth -= 1

    frame.set_evaluate_entry_callback(enter)
    frame.set_evaluate_exit_callback(leave)


def _make_evaluation_error(expression: str, scope: Scope, field: str, reason: str) -> StatesError:
    return make_error(
        scope,
        field,
        f"The JSONata expression '{expression}' specified for the field '{field}' threw an error during evaluation"
        f"{reason}",
    )


def make_error(scope: Scope, field: str | None, message: str) -> StatesError:
    """Return a ``States.QueryEvaluationError``, which the history records in a separate event."""
    return StatesError("States.QueryEvaluationError", f"{scope.cause_prefix}{message}", evaluation=True, location=field)


def make_type_error(scope: Scope, field: str, expression: str, expected: str, value: Json) -> StatesError:
    """Return the error of an expression whose value has the wrong type for the field."""
    if expected == get_type_name(value) == "number":
        expected = "integer"
    return make_error(
        scope,
        field,
        f"The JSONata expression '{expression}' specified for the field '{field}' returned an unexpected result type. "
        f"Expected '{expected}', but was '{get_type_name(value)}' for value: {dumps(value)}",
    )


def make_range_error(scope: Scope, field: str, expression: str, value: Json) -> StatesError:
    """Return the error of an expression whose value is out of the field's range."""
    return make_error(
        scope,
        field,
        f"The JSONata expression '{expression}' specified for the field '{field}' returned a value that is out of "
        f"range: {dumps(value)}",
    )


def get_type_name(value: Json) -> str:
    """Return the name of a value's type for messages."""
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


def _convert_to_json(value: Any) -> Json:
    """Convert the library's value to plain JSON, without copying plain parts. Raises TypeError."""
    if value is _NULL:
        return None
    if isinstance(value, list):
        items = [
            _convert_to_json(value[index]) for index in range(len(value))
        ]  # a range has length and index, but no items
        plain = type(value) is list and all(a is b for a, b in zip(items, value, strict=True))
        return value if plain else items
    if isinstance(value, dict):
        members = {key: _convert_to_json(item) for key, item in value.items()}
        return value if all(members[key] is value[key] for key in members) else members
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # JSON has no infinity, and on AWS 1/0 succeeds
    raise TypeError(type(value))
