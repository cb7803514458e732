"""JSONata expressions (``{% … %}``), evaluated by the library ``jlens`` with Step Functions' own functions.

This process compiles an expression; a worker process (:mod:`.jsonata_pool`) evaluates it, because an expression may
need any time and memory. A path that only selects members, such as ``$states.input.id``, is followed here: that is
fast, and keeps whole numbers beyond 2^53, which JSONata would round.
Source: Step Functions developer guide, "Transforming data with JSONata".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jlens import JlensError

from nightferry.states.data import jsonata_errors
from nightferry.states.data.errors import StatesError
from nightferry.states.data.jsonata_pool import POOL, OutOfMemory, OutOfTime
from nightferry.states.data.jsonata_references import find_forbidden_reference
from nightferry.states.data.jsonata_worker import compile_expression
from nightferry.states.data.payload import Json, dumps
from nightferry.states.data.scope import Scope

_UNDEFINED: Any = object()
_UNKNOWN: Any = object()


class JsonataSyntaxError(ValueError):
    """The text is not a JSONata expression."""


def is_expression(value: Json) -> bool:
    """Return True if a value of a definition is a JSONata expression."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}") and len(value) >= 4


def extract_source(value: str) -> str:
    """Return the expression between ``{%`` and ``%}``."""
    return value[2:-2].strip()


@dataclass(frozen=True)
class Compiled:
    """An expression that parses. ``reads`` is the library's description of the data that it reads.

    ``path`` are the names of a path that only selects members; ``source`` is what a worker evaluates.
    """

    source: str
    reads: dict[str, Any]
    path: tuple[str, ...]

    def find_forbidden_reference(self, *, error_output: bool) -> str | None:
        """Return a sentence about the first invalid reference, or None. ``error_output`` is True in a catcher."""
        return find_forbidden_reference(self.source, self.reads, error_output=error_output)


# The functions of Step Functions, for the library: a function that it does not know might read everything.
_OWN_FUNCTIONS = dict.fromkeys(("partition", "range", "hash", "random", "uuid", "parse"), len)
# A function of ours cannot return null, so ``$parse_`` returns the value as the member of an object.
_PARSE = "($parse := function($text){ $lookup($parse_($text), 'value') }; "

_PATH = re.compile(r"\$[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*", re.ASCII)
_KEYWORDS = {"and", "or", "in", "true", "false", "null", "function"}


@lru_cache(maxsize=2048)
def parse(expression: str) -> Compiled:
    """Compile an expression. Raises JsonataSyntaxError."""
    try:
        reads: dict[str, Any] = {**compile_expression(expression).reads(_OWN_FUNCTIONS)}
    except JlensError as error:
        reason = jsonata_errors.format_message(error.code, str(error))
        raise JsonataSyntaxError(f"{expression!r} is not a JSONata expression: {reason}.") from None
    names = tuple(re.split(r"\s*\.\s*", expression[1:])) if _PATH.fullmatch(expression) else ()
    if _KEYWORDS.intersection(names):
        names = ()
    source = f"{_PARSE}{expression})" if "parse" in reads["bindings"] else expression
    return Compiled(source, reads, names)


def evaluate(expression: str, scope: Scope, field: str) -> Json:
    """Return the expression's value. Raises StatesError ``States.QueryEvaluationError`` that names the ``field``."""
    compiled = parse(expression)
    value = _follow(compiled.path, scope) if compiled.path else _UNKNOWN
    if value is _UNKNOWN:
        value = _evaluate_in_worker(compiled, expression, scope, field)
    if value is _UNDEFINED:
        raise make_error(
            scope,
            field,
            f"The JSONata expression '{expression}' specified for the field '{field}' returned nothing (undefined).",
        )
    return value


def _follow(path: tuple[str, ...], scope: Scope) -> Json:
    """Return the member that a path selects; _UNDEFINED, or _UNKNOWN if it is not only a member of objects."""
    value: Json = scope.states if path[0] == "states" else scope.variables.get(path[0], _UNKNOWN)
    for name in path[1:]:
        if value is _UNKNOWN or isinstance(value, list):
            return _UNKNOWN
        if not isinstance(value, dict):
            return _UNDEFINED
        if value is scope.states and name == "context":
            value = scope.get_context_object()
        else:
            value = value.get(name, _UNDEFINED)
    return _UNKNOWN if value is scope.states else value


def _evaluate_in_worker(compiled: Compiled, expression: str, scope: Scope, field: str) -> Json:
    request = {
        "source": compiled.source,
        "bindings": _select_bindings(compiled.reads, scope),
        "now": int(scope.now().timestamp() * 1000),
        "seed": scope.get_rng().getrandbits(63),
    }
    try:
        response = POOL.evaluate(request)
    except OutOfTime:
        raise _make_evaluation_error(expression, scope, field, jsonata_errors.OUT_OF_TIME) from None
    except OutOfMemory:
        raise _make_evaluation_error(expression, scope, field, jsonata_errors.OUT_OF_MEMORY) from None
    match response[0]:
        case "V":
            return json.loads(response[1:])
        case "U":
            return _UNDEFINED
        case "F":
            raise make_error(
                scope,
                field,
                f"The JSONata expression '{expression}' specified for the field '{field}' returned an unsupported "
                "result type.",
            )
        case _:
            code, message = json.loads(response[1:])
            suffix = jsonata_errors.format_suffix(code, message)
            raise _make_evaluation_error(expression, scope, field, suffix)


def _select_bindings(reads: dict[str, Any], scope: Scope) -> dict[str, Json]:
    """Return the variables that the expression reads, and the members of ``$states`` that it reads."""
    read = reads["bindings"]
    everything = reads.get("everyBinding", False)
    bindings = {name: value for name, value in scope.variables.items() if everything or name in read}
    if everything or "states" in read:
        members = read.get("states", True)
        states = {name: value for name, value in scope.states.items() if members is True or name in members}
        if members is True or "context" in members:
            states["context"] = scope.get_context_object()
        bindings["states"] = states
    return bindings


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
