"""Evaluate the statements of IAM policies, with their conditions (IAM User Guide, "Policy evaluation logic").

moto checks actions, and resources of some services, but no condition of a policy. Only what synthesis uses is
supported: an unknown operator or element raises :class:`UnsupportedStatement`, so that no check passes by omission.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Statement = Mapping[str, Any]

_ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}


class UnsupportedStatement(Exception):
    """A statement has an element or a condition operator that the evaluation does not support. Add it here."""


@dataclass(frozen=True)
class Need:
    """An action on a resource that a call requires, with the values of the condition keys.

    ``principal`` is the caller, which only a trust policy or a resource's policy checks.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)
    principal: str = ""


def allows(statement: Statement, need: Need) -> bool:
    """Return True if the statement allows the need."""
    if unknown := set(statement) - _ELEMENTS:
        raise UnsupportedStatement(f"{statement.get('Sid')}: {', '.join(sorted(unknown))}")
    if statement["Effect"] != "Allow":
        raise UnsupportedStatement(f"{statement.get('Sid')}: Effect {statement['Effect']}")
    return (
        any(matches(pattern, need.action, ignore_case=True) for pattern in as_list(statement["Action"]))
        and _includes_principal(statement.get("Principal"), need)
        and any(matches(pattern, need.resource) for pattern in as_list(statement.get("Resource", "*")))
        and all(
            _holds(operator, values, need.context.get(key))
            for operator, variables in statement.get("Condition", {}).items()
            for key, values in variables.items()
        )
    )


def find_allowing(statements: Iterable[Statement], need: Need) -> list[str]:
    """Return the IDs of the statements that allow the need."""
    return [str(statement.get("Sid", "")) for statement in statements if allows(statement, need)]


def as_list(value: Any) -> list[Any]:
    """Return an element that may be a single value as a list."""
    return value if isinstance(value, list) else [value]


def matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """Return True if the value matches a pattern with the wildcards ``*`` and ``?``."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _includes_principal(principals: Any, need: Need) -> bool:
    if principals in (None, "*"):
        return True
    names = {name for values in principals.values() for name in as_list(values)}
    account = ":".join([*need.principal.split(":")[:5], "root"])  # an account stands for all of its identities
    return bool(names & {need.principal, account, "*"})


def _equals(pattern: str, value: str) -> bool:
    return pattern == value


# ArnEquals and ArnLike behave identically, and both support wildcards in each part of the ARN.
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equals,
    "StringLike": matches,
    "ArnEquals": matches,
    "ArnLike": matches,
}


def _holds(operator: str, values: Any, value: str | None) -> bool:
    """Return True if a condition holds for a key's value; None if the request has no such key."""
    name, if_exists, _ = operator.partition("IfExists")
    if name not in _OPERATORS:
        raise UnsupportedStatement(f"condition operator {operator}")
    if value is None:
        return bool(if_exists)
    return any(_OPERATORS[name](pattern, value) for pattern in as_list(values))
