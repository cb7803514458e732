"""JSONata expressions (``{% … %}``) by the library ``jsonata-python``, with Step Functions' own functions.

Sources: Step Functions developer guide, "Transforming data with JSONata".
"""

from __future__ import annotations

import hashlib
import math
import re
import uuid
from functools import lru_cache
from random import Random
from typing import Any

from jsonata import Jsonata  # type: ignore[import-untyped]  # the library has no stubs
from jsonata.functions import Functions  # type: ignore[import-untyped]  # the library has no stubs
from jsonata.utils import Utils  # type: ignore[import-untyped]  # the library has no stubs

from longshore.states.errors import StatesError
from longshore.states.payload import Json, dumps, loads
from longshore.states.scope import Scope

_NULL = Utils.NULL_VALUE  # how the library tells null from undefined, which is Python's None there


class JsonataSyntaxError(ValueError):
    """The text is not a JSONata expression."""


def is_expression(value: Json) -> bool:
    """Whether a string of a definition is a JSONata expression."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}") and len(value) >= 4


def source(value: str) -> str:
    """The expression between ``{%`` and ``%}``."""
    return value[2:-2].strip()


@lru_cache(maxsize=2048)
def parse(expression: str) -> Any:
    """Compile an expression. Raises JsonataSyntaxError."""
    try:
        compiled = Jsonata(expression)
    except Exception as error:
        raise JsonataSyntaxError(f"{expression!r} is not a JSONata expression: {error}.") from None
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
    for name, function in _functions(scope).items():
        frame.bind(name, function)
    try:
        result = compiled.evaluate(None, frame)
    except RecursionError:
        raise _threw(expression, scope, field, "The expression recurses too deeply") from None
    except Exception as error:
        code = getattr(error, "error", None)
        raise _threw(expression, scope, field, f"{code}: {error}" if code else str(error)) from None
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


def _threw(expression: str, scope: Scope, field: str, why: str) -> StatesError:
    return failure(
        scope,
        field,
        f"The JSONata expression '{expression}' specified for the field '{field}' threw an error during evaluation. "
        f"{why}",
    )


def failure(scope: Scope, field: str | None, message: str) -> StatesError:
    """A ``States.QueryEvaluationError``, which the history tells in an event of its own."""
    return StatesError("States.QueryEvaluationError", f"{scope.where}{message}", evaluation=True, location=field)


def wrong_type(scope: Scope, field: str, expression: str, expected: str, value: Json) -> StatesError:
    """The failure of an expression whose value has another type than the field takes."""
    return failure(
        scope,
        field,
        f"The JSONata expression '{expression}' specified for the field '{field}' returned an unexpected result type. "
        f"Expected '{expected}', but was '{type_name(value)}' for value: {dumps(value)}",
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
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise TypeError(type(value))


# ── Step Functions' own functions ─────────────────────────────────────────────────────────────────────────────


def _functions(scope: Scope) -> dict[str, Any]:
    """``$partition``, ``$range``, ``$hash``, ``$random``, ``$uuid``, ``$parse``; time comes from the scope."""

    def random(*seed: Json) -> float:
        # A workflow's dice, not a secret.
        return (Random(seed[0]) if seed and seed[0] is not None else scope.dice()).random()  # noqa: S311

    def new_uuid() -> str:
        return str(uuid.UUID(int=scope.dice().getrandbits(128), version=4))

    def now(*picture: Json) -> Json:
        if picture and picture[0] is not None:
            return Functions.datetime_from_millis(millis(), *picture)
        return scope.now().strftime("%Y-%m-%dT%H:%M:%S.") + f"{scope.now().microsecond // 1000:03d}Z"

    def millis() -> int:
        return int(scope.now().timestamp() * 1000)

    functions = {
        "partition": _partition,
        "range": _range,
        "hash": _hash,
        "random": random,
        "uuid": new_uuid,
        "parse": _parse,
        "eval": _refused,
        "now": now,
        "millis": millis,
    }
    return {name: Jsonata.JLambda(function) for name, function in functions.items()}


def _partition(array: Json, size: Json) -> Json:
    if array is None:
        return None
    size = int(size)
    if size <= 0:
        raise ValueError("$partition: the size must be positive")
    items = array if isinstance(array, list) else [array]
    return [items[start : start + size] for start in range(0, len(items), size)]


def _range(first: Json, last: Json, step: Json) -> Json:
    if step == 0:
        raise ValueError("$range: the step must not be 0")
    numbers, value = Utils.create_sequence(), first
    while value <= last if step > 0 else value >= last:
        numbers.append(value)
        value += step
    return numbers[0] if len(numbers) == 1 else numbers


_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


def _hash(value: Json, algorithm: Json = "SHA-256") -> str:
    if algorithm not in _ALGORITHMS:
        raise ValueError(f"$hash: the algorithm must be one of {', '.join(_ALGORITHMS)}")
    text = value if isinstance(value, str) else dumps(_plain(value))
    return hashlib.new(_ALGORITHMS[algorithm], text.encode()).hexdigest()


def _parse(text: Json) -> Json:
    return _NULL if (value := loads(text)) is None else value


def _refused(*_: Json) -> Json:
    raise ValueError("$eval is not supported. Use $parse to read JSON")
