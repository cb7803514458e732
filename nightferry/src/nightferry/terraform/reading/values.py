"""Evaluate a syntax tree as far as its values are known.

A value is a plain Python value, or :class:`Unknown` if only a plan or an apply can compute it. An operation on an
unknown value is unknown, and its text shows the operation with the known values inserted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nightferry.terraform.reading import syntax
from nightferry.terraform.reading.syntax import Node

Value = Any


@dataclass(frozen=True)
class Unknown:
    """A value that is not in the files: ``source`` is its expression, and ``text`` is its template.

    ``exists`` means that the value cannot be null, as is the case for an attribute of a resource.
    """

    source: str
    text: str
    exists: bool = False

    @classmethod
    def from_expression(cls, source: str, *, exists: bool = False) -> Unknown:
        """Return the unknown value of an expression."""
        return cls(source, f"${{{source}}}", exists)

    @classmethod
    def from_template(cls, text: str) -> Unknown:
        """Return an unknown text from its template."""
        return cls(f'"{text}"', text, exists=True)


class NameResolver(Protocol):
    """A scope that resolves names."""

    def resolve(self, root: str, steps: Sequence[Value]) -> tuple[Value, int]:
        """Return the value of the name ``root`` and the number of ``steps`` that it consumes."""


def evaluate_text(text: str, scope: NameResolver) -> Value:
    """Evaluate the text of a JSON string; a text that cannot be parsed is returned as an unknown value."""
    if "${" not in text and "%{" not in text:
        return text
    try:
        return evaluate(syntax.parse_template(text), scope)
    except (syntax.UnsupportedSyntax, RecursionError, *_EVALUATION_ERRORS):  # Terraform would report an error too
        return Unknown.from_template(text)


def evaluate(node: Node, scope: NameResolver) -> Value:
    """Return the value of an expression."""
    match node:
        case syntax.Literal(value):
            return value
        case syntax.Template(parts):
            return _evaluate_template(
                [part if isinstance(part, str) else evaluate(part, scope) for part in parts], parts
            )
        case syntax.Traversal(root, steps):
            return _traverse(root, steps, scope)
        case syntax.Call(name, arguments):
            return _call(name, [evaluate(argument, scope) for argument in arguments])
        case syntax.Operation(operator, operands):
            return _operate(operator, [evaluate(operand, scope) for operand in operands])
        case syntax.Conditional(condition, yes, no):
            chosen = evaluate(condition, scope)
            if isinstance(chosen, Unknown):
                branches = format_source(evaluate(yes, scope)), format_source(evaluate(no, scope))
                return Unknown.from_expression(f"{chosen.source} ? {branches[0]} : {branches[1]}")
            return evaluate(yes if chosen else no, scope)
        case syntax.Items(items):
            return [evaluate(item, scope) for item in items]
        case syntax.Pairs(pairs):
            return {to_json(evaluate(key, scope)): evaluate(value, scope) for key, value in pairs}
        case syntax.For():
            return _evaluate_for(node, scope)


def to_json(value: Value) -> Any:
    """Return the value as JSON with templates for unknown values; a literal ``${`` is written ``$${``."""
    match value:
        case Unknown():
            return value.text
        case str():
            return value.replace("${", "$${").replace("%{", "%%{")
        case dict():
            return {to_json(key): to_json(item) for key, item in value.items()}
        case list():
            return [to_json(item) for item in value]
    return value


def format_source(value: Value) -> str:
    """Return the value as an expression."""
    match value:
        case Unknown():
            return value.source
        case dict():
            return f"{{{', '.join(f'{key} = {format_source(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(format_source(item) for item in value)}]"
    return json.dumps(to_json(value), ensure_ascii=False)


def as_list(value: Any) -> list[Any]:
    """Return the blocks of a name as a list, because Terraform's JSON may contain a single block or a list."""
    return value if isinstance(value, list) else [value]


def encode(value: Value) -> Value:
    """Return the value as the JSON text of Terraform; a text that contains unknown values is unknown."""
    known = is_known(value)
    text = json.dumps(value if known else to_json(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text if known else Unknown.from_template(text)


def decode(value: Value) -> Any:
    """Return the content of JSON text as :func:`to_json` values."""
    return json.loads(value.text) if isinstance(value, Unknown) else to_json(json.loads(value))


def is_known(value: Value) -> bool:
    """Return True if nothing in the value is unknown."""
    match value:
        case Unknown():
            return False
        case dict():
            return all(is_known(item) for item in value.values())
        case list():
            return all(is_known(item) for item in value)
    return True


@dataclass(frozen=True)
class NestedScope:
    """A scope with additional names, such as those of a ``for`` expression or a ``dynamic`` block."""

    names: Mapping[str, Value]
    outer: NameResolver

    def resolve(self, root: str, steps: Sequence[Value]) -> tuple[Value, int]:
        """Return the value of ``root`` in this scope or in the outer one."""
        if root in self.names:
            return self.names[root], 0
        return self.outer.resolve(root, steps)


def _evaluate_template(values: list[Value], parts: Sequence[str | Node]) -> Value:
    if len(values) == 1 and not isinstance(parts[0], str):
        return values[0]
    if is_known(values):
        return "".join(_format_text(value) for value in values)
    texts = [to_json(value) if isinstance(value, str | Unknown) else _format_text(value) for value in values]
    return Unknown.from_template("".join(texts))


def _format_text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(to_json(value))


def _traverse(root: str | Node, steps: Sequence[str | Node | None], scope: NameResolver) -> Value:
    found = [evaluate(step, scope) if step is not None and not isinstance(step, str) else step for step in steps]
    if isinstance(root, str):
        value, used = scope.resolve(root, found)
        return _apply_steps(value, found[used:])
    return _apply_steps(evaluate(root, scope), found)


def _apply_steps(value: Value, steps: Sequence[Value]) -> Value:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(value, Unknown):
        return _apply_steps(Unknown.from_expression(value.source + format_step(step), exists=value.exists), rest)
    if step is None:
        items = value if isinstance(value, list) else [] if value is None else [value]
        return [_apply_steps(item, rest) for item in items]
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return _apply_steps(value[step], rest)
    if isinstance(value, dict) and isinstance(step, str):
        return _apply_steps(value.get(step), rest)  # an omitted optional attribute is null
    return Unknown.from_expression(format_source(value) + "".join(format_step(one) for one in steps))


def format_step(step: Value) -> str:
    """Return a step of a traversal as text, such as ``.name``, ``[0]`` or ``[*]``."""
    if step is None:
        return "[*]"
    return f".{step}" if isinstance(step, str) else f"[{format_source(step)}]"


def _evaluate_for(node: syntax.For, scope: NameResolver) -> Value:
    collection = evaluate(node.source, scope)
    if isinstance(collection, Unknown):
        return Unknown.from_expression(node.text)
    items = sorted(collection.items()) if isinstance(collection, dict) else list(enumerate(collection))
    found = []
    for key, value in items:
        names = dict(zip(node.names, (key, value) if len(node.names) == 2 else (value,), strict=True))
        bound = NestedScope(names, scope)
        kept = node.condition is None or evaluate(node.condition, bound)
        if isinstance(kept, Unknown):
            return Unknown.from_expression(node.text)
        if kept:
            name = None if node.result_key is None else to_json(evaluate(node.result_key, bound))
            found.append((name, evaluate(node.result, bound)))
    return dict(found) if node.result_key is not None else [value for _, value in found]


def _operate(operator: str, operands: list[Value]) -> Value:
    if operator in ("==", "!=") and None in operands:
        (other,) = [value for value in operands if value is not None] or [None]
        if not isinstance(other, Unknown) or other.exists:
            return (other is None) == (operator == "==")
    if not is_known(operands):
        texts = [format_source(value) for value in operands]
        return Unknown.from_expression(f" {operator} ".join(texts) if len(texts) == 2 else operator + texts[0])
    try:
        return _OPERATORS[operator, len(operands)](*operands)
    except _EVALUATION_ERRORS:
        return Unknown.from_expression(f" {operator} ".join(format_source(value) for value in operands))


_EVALUATION_ERRORS = (TypeError, ValueError, AttributeError, ArithmeticError, StopIteration)

_OPERATORS: dict[tuple[str, int], Callable[..., Value]] = {
    ("!", 1): lambda a: not a,
    ("-", 1): lambda a: -a,
    ("||", 2): lambda a, b: a or b,
    ("&&", 2): lambda a, b: a and b,
    ("==", 2): lambda a, b: a == b,
    ("!=", 2): lambda a, b: a != b,
    ("<", 2): lambda a, b: a < b,
    ("<=", 2): lambda a, b: a <= b,
    (">", 2): lambda a, b: a > b,
    (">=", 2): lambda a, b: a >= b,
    ("+", 2): lambda a, b: a + b,
    ("-", 2): lambda a, b: a - b,
    ("*", 2): lambda a, b: a * b,
    ("/", 2): lambda a, b: a / b,
    ("%", 2): lambda a, b: a % b,
}

# Functions that are evaluated only if all arguments are known.
_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "coalesce": lambda *values: next(value for value in values if value not in (None, "")),
    "distinct": lambda items: list(dict.fromkeys(items)),
    "join": lambda separator, items: separator.join(items),
    "replace": lambda text, old, new: text.replace(old, new),
    "sort": sorted,
    "substr": lambda text, start, length: text[start : start + length],
}
# Functions of collections with possibly unknown members.
_COLLECTIONS: dict[str, Callable[..., Value]] = {
    "concat": lambda *lists: [item for one in lists for item in one],
    "contains": lambda items, item: item in items,
    "keys": sorted,
    "length": len,
    "merge": lambda *maps: {key: value for one in maps for key, value in (one or {}).items()},
    "one": lambda items: items[0] if items else None,
    "values": lambda items: [items[key] for key in sorted(items)],
}


def _call(name: str, arguments: list[Value]) -> Value:
    if name == "jsonencode":
        return encode(arguments[0])
    try:
        if name in _FUNCTIONS and is_known(arguments):
            return _FUNCTIONS[name](*arguments)
        if name in _COLLECTIONS and not any(isinstance(argument, Unknown) for argument in arguments):
            return _COLLECTIONS[name](*arguments)
    except _EVALUATION_ERRORS:
        pass  # Terraform would report an error too
    return Unknown.from_expression(f"{name}({', '.join(format_source(argument) for argument in arguments)})")
