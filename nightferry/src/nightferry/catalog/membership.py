"""Checks that a catalog declares what a declaration refers to, uses or has a grant on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nightferry.catalog import checks
from nightferry.catalog.declarations import Bucket, Grant, Task, Workflow
from nightferry.catalog.references import KINDS, find_references
from nightferry.errors import InvalidSetting, UnknownReference

if TYPE_CHECKING:
    from nightferry.states.builder.steps import NamedTopic

Declared = Mapping[str, Mapping[str, object]]
"""What a catalog declares, by kind and name."""


def check_references(declared: Declared, value: Any, declaration: str, location: str) -> None:
    """Raise UnknownReference for a reference in ``value`` to something that the catalog does not declare."""
    for reference in find_references(value):
        known = declared.get(reference.kind)
        if known is None and reference.kind not in KINDS:
            raise UnknownReference(
                f"It contains '{reference}', but '{reference.kind}' is not a kind of reference. Write $${{ for a "
                "literal ${.",
                declaration=declaration,
                location=location,
            )
        if known is not None and reference.name not in known:
            raise UnknownReference(
                f"It refers to {reference.kind} '{reference.name}', which this catalog does not declare. "
                f"Declared: {', '.join(sorted(known)) or 'none'}.",
                declaration=declaration,
                location=location,
            )


def check_member(
    one: Task | Workflow | Bucket | NamedTopic, members: Mapping[str, object], declaration: str, location: str
) -> None:
    """Raise UnknownReference if ``one``, which could be of another catalog, is not in ``members`` of this one."""
    kind = type(one).__name__.lower()
    if members.get(one.name) is not one:
        if one.name in members:
            raise UnknownReference(
                f"It has another {kind} of the name '{one.name}' than the declared one. Use the object that "
                f"catalog.{kind}('{one.name}', …) returned.",
                declaration=declaration,
                location=location,
            )
        raise UnknownReference(
            f"It refers to {kind} '{one.name}', which this catalog does not declare. "
            f"Declared: {', '.join(sorted(members)) or 'none'}.",
            declaration=declaration,
            location=location,
        )


def check_grant(declared: Declared, grant: Grant, declaration: str, location: str) -> None:
    """Raise UnknownReference or InvalidSetting if a grant is on nothing in the catalog, or has an invalid pattern."""
    members = declared[grant.kind]
    if grant.name not in members:
        raise UnknownReference(
            f"It has a grant on {grant.kind} '{grant.name}', which this catalog does not declare. "
            f"Declared: {', '.join(sorted(members)) or 'none'}.",
            declaration=declaration,
            location=location,
        )
    if grant.kind == "bucket" and (problem := checks.find_pattern_problem(grant.pattern)):
        raise InvalidSetting(
            f"Its grant on bucket '{grant.name}' has the pattern {grant.pattern!r}, {problem}",
            declaration=declaration,
            location=location,
        )
