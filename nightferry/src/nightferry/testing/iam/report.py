"""Which statements of the roles were needed, and a table of roles, calls and statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from nightferry.testing.iam.account import Requirement
from nightferry.testing.iam.statements import as_list, matches

Statements = Mapping[str, Mapping[str, Any]]


def find_unneeded(statements: Mapping[str, Statements], requirements: Iterable[Requirement]) -> dict[str, list[str]]:
    """Return the statements of each role that no requirement needs: without it, another statement allows the same.

    ``statements`` are those of each role (ARN) by their IDs.
    """
    needed = {(one.role, one.statements[0]) for one in requirements if len(one.statements) == 1}
    unneeded = {role: sorted(sid for sid in found if (role, sid) not in needed) for role, found in statements.items()}
    return {role: found for role, found in unneeded.items() if found}


def find_unused_actions(
    statements: Mapping[str, Statements], requirements: Iterable[Requirement]
) -> dict[str, list[str]]:
    """Return the actions of each role's statements that no requirement used, as ``statement action``."""
    used = {(one.role, sid, one.action) for one in requirements for sid in one.statements}
    unused: dict[str, list[str]] = {}
    for role, found in statements.items():
        names = [
            f"{sid} {pattern}"
            for sid, statement in found.items()
            for pattern in as_list(statement["Action"])
            if not any(
                matches(pattern, action, ignore_case=True) for user, of, action in used if (user, of) == (role, sid)
            )
        ]
        if names:
            unused[role] = names
    return unused


def format_table(statements: Mapping[str, Statements], requirements: Iterable[Requirement]) -> str:
    """Return a table of roles, their statements, and the number of calls by action that each statement allowed."""
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in requirements:
        for sid in one.statements:
            counts[one.role, sid][one.action] += 1
    lines = ["| role | statement | calls by action |", "| --- | --- | --- |"]
    for role in sorted(statements):
        for sid in statements[role]:
            calls = ", ".join(f"{action} {n}" for action, n in sorted(counts[role, sid].items())) or "none"
            lines.append(f"| {role.rpartition('/')[2]} | {sid} | {calls} |")
    return "\n".join(lines)
