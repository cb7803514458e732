"""What a JSONata expression refers to, checked when the definition is parsed.

A state evaluates its expressions without a context item: the input is ``$states.input``, and a variable is ``$name``.
A bare name or ``$$`` therefore has no value, and ``$states.errorOutput`` exists only in a catcher. Step Functions
rejects all three when a state machine is created, and the operators that JSONata 2.0.6 does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

# The parts of an expression that may contain these operators as text, and the operators. A slash begins a regular
# expression only where a value may begin.
_TOKEN = re.compile(
    r"""
    (?P<skipped>   \s+ | /\*.*?\*/ )
  | (?P<value>     "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | [)\]}] | \$?\w+ )
  | (?P<operator>  \$\$(?!\w) | \?\? | \?: )
  | (?P<slash>     / )
  | (?P<other>     . )
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\[])+/\w*", re.DOTALL)
_OPERATORS = {"and", "or", "in"}


def find_forbidden_reference(source: str, reads: dict[str, Any], *, error_output: bool) -> str | None:
    """Return a sentence about the first invalid reference of an expression, or None if all are valid.

    ``reads`` is the library's description of the data that the expression reads. ``error_output`` is True if the
    expression belongs to a catcher.
    """
    for operator in _iterate_operators(source):
        if operator == "$$":
            return "$$ refers to no value in a state machine. Use $states.input."
        return f"JSONata 2.0.6, which Step Functions uses, has no operator {operator}. Use a condition: a ? b : c."
    names = reads.get("input")
    if isinstance(names, dict) and names:
        name = next(iter(names))
        return f"'{name}' refers to no value. Use $states.input.{name}, or ${name} for a variable."
    states = reads["bindings"].get("states")
    if isinstance(states, dict) and "errorOutput" in states and not error_output:
        return "$states.errorOutput is available only in Output and Assign of a catcher."
    return None


def _iterate_operators(source: str) -> Iterator[str]:
    """Yield each ``$$``, ``??`` and ``?:`` of an expression that parses."""
    at, after_value = 0, False
    while match := _TOKEN.match(source, at):
        kind = match.lastgroup
        if kind == "slash" and not after_value and (regex := _REGEX.match(source, at)):
            match, kind = regex, "value"
        at = match.end()
        if kind == "operator":
            yield match[0]
        if kind != "skipped":
            after_value = (kind == "value" and match[0] not in _OPERATORS) or match[0] == "$$"
