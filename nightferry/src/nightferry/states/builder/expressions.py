"""Values and conditions of a workflow as paths, calls and rules of Amazon States Language.

``find_path`` of each function returns the path of an ``Input``, ``Output`` or ``Item`` in the place of the expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

from nightferry.contract import format_value
from nightferry.states.builder.values import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    Format,
    JsonText,
    Match,
    Not,
    Presence,
    TypeTest,
    Value,
    is_json,
)
from nightferry.states.language.fields import format_member

FindPath = Callable[[Value], str]

# A reference of the catalog, which an environment substitutes before Step Functions reads the text.
_REFERENCE = re.compile(r"\$\{[a-z_]+(?::[^{}]+)?\}")


def format_path(root: str, members: Sequence[str]) -> str:
    """Return the path of a member below ``root``."""
    return root + "".join(map(format_member, members))


def render_text(value: Value, find_path: FindPath) -> str:
    """Return the call whose result is the value as text, because ECS and SNS accept only texts."""
    if isinstance(value, JsonText):
        return f"States.JsonToString({find_path(value.value)})"
    if isinstance(value, Format):
        arguments = [_render_argument(part, find_path) for part in value.values]
        return f"States.Format({', '.join([quote(value.template, braces=False), *arguments])})"
    return f"States.Format('{{}}', {find_path(value)})"


def render_words(words: Sequence[object], find_path: FindPath) -> str | list[str]:
    """Return arguments: a list, or the call that creates it if a word is known only when the workflow runs."""
    if not any(isinstance(word, Value) for word in words):
        return [format_value(word) for word in words]
    return f"States.Array({', '.join(_render_word(word, find_path) for word in words)})"


def quote(text: str, *, braces: bool = True) -> str:
    """Return a text as a string of an intrinsic function. The braces of a Format's placeholders are not escaped."""

    def escape(part: str) -> str:
        return re.sub(r"[\\'{}]" if braces else r"[\\']", r"\\\g<0>", part)

    pieces = [escape(part) for part in _REFERENCE.split(text)]
    references = [*_REFERENCE.findall(text), ""]
    return "'" + "".join(piece + reference for piece, reference in zip(pieces, references, strict=True)) + "'"


def render_condition(condition: Condition, find_path: FindPath) -> dict[str, Any]:
    """Return the rule of a Choice state, without Next."""
    match condition:
        case Presence(value=value):
            return {"Variable": find_path(value), "IsPresent": True}
        case TypeTest(value=value, kind=kind):
            return {"Variable": find_path(value), f"Is{kind}": True}
        case Match(value=value, pattern=pattern):
            return {"Variable": find_path(value), "StringMatches": pattern}
        case Not(condition=inner):
            return {"Not": render_condition(inner, find_path)}
        case AllOf(conditions=parts):
            return {"And": [render_condition(part, find_path) for part in parts]}
        case AnyOf(conditions=parts):
            return {"Or": [render_condition(part, find_path) for part in parts]}
        case Comparison():
            return _render_comparison(condition, find_path)
    raise TypeError(f"{condition!r} is not a condition.")


def render_items(items: Any, name: str) -> list[Any]:
    """Return the items as a list that a definition can contain. Raises ValueError."""
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise ValueError(
            f"{name}: the items of ForEach are {items!r}, which is not a list. Use a list such as "
            '["eu", "us"], Input("regions") or Output(TASK, "regions").'
        )
    found = [item if is_json(item) else format_value(item) for item in items]
    return list(json.loads(json.dumps(found)))


def _render_comparison(comparison: Comparison, find_path: FindPath) -> dict[str, Any]:
    variable, order, other = find_path(comparison.value), comparison.order, comparison.other
    if not isinstance(other, Value):
        kind, operand = _read_constant(other)
        return {"Variable": variable, f"{kind}{order}": operand}
    # Neither type is known. Each comparison is false for values of other types.
    kinds = ("String", "Numeric", "Boolean") if order == "Equals" else ("String", "Numeric")
    path = find_path(other)
    return {"Or": [{"Variable": variable, f"{kind}{order}Path": path} for kind in kinds]}


def _read_constant(constant: Constant) -> tuple[str, Any]:
    match constant:
        case bool():
            return "Boolean", constant
        case str():
            return "String", constant
        case int() | float():
            return "Numeric", constant
        case datetime():
            return "Timestamp", constant.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case None:
            raise ValueError("None has no order.")
    assert_never(constant)


def _render_word(word: object, find_path: FindPath) -> str:
    return render_text(word, find_path) if isinstance(word, Value) else quote(format_value(word))


def _render_argument(value: object, find_path: FindPath) -> str:
    """Return an argument of Format, which converts it to text itself."""
    if isinstance(value, JsonText | Format):
        return render_text(value, find_path)
    return find_path(value) if isinstance(value, Value) else quote(format_value(value))
