"""What a JSONata expression must not refer to, found when the definition is checked.

A state evaluates its expressions without a context item: the input is ``$states.input``, a variable is ``$name``. So a
bare name, or ``$$``, would read something that is not there; and ``$states.errorOutput`` is there in a catcher only.
Step Functions refuses all three when a state machine is created.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_PARTS = ("lhs", "rhs", "condition", "then", "_else", "expression", "body", "procedure")
_LISTS = ("arguments", "expressions", "lhs_object")


def forbidden(ast: Any, *, error_output: bool) -> str | None:
    """What is wrong with the references of a parsed expression, in a sentence; None if nothing is.

    ``error_output`` tells that the expression stands in a catcher.
    """
    for node, bare in _nodes(ast, bare=True):
        kind, value = getattr(node, "type", None), getattr(node, "value", None)
        if bare and kind == "name":
            return f"'{value}' refers to nothing: write $states.input.{value}, or ${value} for a variable."
        if kind == "variable" and value == "$":
            return "$$ refers to nothing in a state machine: write $states.input."
        if kind == "path" and not error_output and _reads_error_output(node):
            return "$states.errorOutput is there in the Output and Assign of a catcher only."
    return None


def _reads_error_output(path: Any) -> bool:
    steps = [(getattr(step, "type", None), getattr(step, "value", None)) for step in path.steps[:2]]
    return steps == [("variable", "states"), ("name", "errorOutput")]


def _nodes(node: Any, *, bare: bool) -> Iterator[tuple[Any, bool]]:
    """Every node of an expression; ``bare`` tells whether it is evaluated without a context item."""
    if node is None or not hasattr(node, "type"):
        return
    yield node, bare
    if node.type == "path":
        for index, step in enumerate(node.steps):
            yield from _nodes(step, bare=bare and index == 0)
        yield from _pairs(getattr(node.group, "lhs_object", None) if getattr(node, "group", None) else None, bare=False)
        return
    for name in _PARTS:
        yield from _nodes(getattr(node, name, None), bare=bare)
    for name in _LISTS:
        yield from _pairs(getattr(node, name, None), bare=bare)
    for stage in [*(getattr(node, "stages", None) or []), *(getattr(node, "predicate", None) or [])]:
        yield from _nodes(getattr(stage, "expr", None), bare=False)
    for term in getattr(node, "terms", None) or []:
        yield from _nodes(getattr(term, "expression", None), bare=False)
    for name in ("pattern", "update", "delete"):
        yield from _nodes(getattr(node, name, None), bare=False)


def _pairs(items: Any, *, bare: bool) -> Iterator[tuple[Any, bool]]:
    for item in items or []:
        for node in item if isinstance(item, tuple | list) else [item]:
            yield from _nodes(node, bare=bare)
