"""References that a JSONata expression must not contain, checked when the definition is parsed.

A state evaluates its expressions without a context item: the input is ``$states.input``, and a variable is ``$name``.
A bare name or ``$$`` therefore has no value, and ``$states.errorOutput`` exists only in a catcher. Step Functions
rejects all three when a state machine is created.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_PARTS = ("lhs", "rhs", "condition", "then", "_else", "expression", "body", "procedure")
_LISTS = ("arguments", "expressions", "lhs_object")


def find_forbidden_reference(ast: Any, *, error_output: bool) -> str | None:
    """Return a sentence about the first invalid reference of a parsed expression, or None if all are valid.

    ``error_output`` is True if the expression belongs to a catcher.
    """
    for node, bare in _iterate_nodes(ast, bare=True):
        kind, value = getattr(node, "type", None), getattr(node, "value", None)
        if bare and kind == "name":
            return f"'{value}' refers to no value. Use $states.input.{value}, or ${value} for a variable."
        if kind == "variable" and value == "$":
            return "$$ refers to no value in a state machine. Use $states.input."
        if kind == "path" and not error_output and _reads_error_output(node):
            return "$states.errorOutput is available only in Output and Assign of a catcher."
    return None


def _reads_error_output(path: Any) -> bool:
    steps = [(getattr(step, "type", None), getattr(step, "value", None)) for step in path.steps[:2]]
    return steps == [("variable", "states"), ("name", "errorOutput")]


def _iterate_nodes(node: Any, *, bare: bool) -> Iterator[tuple[Any, bool]]:
    """Yield every node of an expression, with True if it is evaluated without a context item."""
    if node is None or not hasattr(node, "type"):
        return
    yield node, bare
    if node.type == "path":
        for index, step in enumerate(node.steps):
            yield from _iterate_nodes(step, bare=bare and index == 0)
        yield from _iterate_pairs(
            getattr(node.group, "lhs_object", None) if getattr(node, "group", None) else None, bare=False
        )
        return
    for name in _PARTS:
        yield from _iterate_nodes(getattr(node, name, None), bare=bare)
    for name in _LISTS:
        yield from _iterate_pairs(getattr(node, name, None), bare=bare)
    for stage in [*(getattr(node, "stages", None) or []), *(getattr(node, "predicate", None) or [])]:
        yield from _iterate_nodes(getattr(stage, "expr", None), bare=False)
    for term in getattr(node, "terms", None) or []:
        yield from _iterate_nodes(getattr(term, "expression", None), bare=False)
    for name in ("pattern", "update", "delete"):
        yield from _iterate_nodes(getattr(node, name, None), bare=False)


def _iterate_pairs(items: Any, *, bare: bool) -> Iterator[tuple[Any, bool]]:
    for item in items or []:
        for node in item if isinstance(item, tuple | list) else [item]:
            yield from _iterate_nodes(node, bare=bare)
