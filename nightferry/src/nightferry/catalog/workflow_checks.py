"""Checks of the catalog's workflows, functions and integrations when they are declared."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from nightferry.catalog.workflow_access import NotDerivable, check_derivable
from nightferry.errors import InvalidWorkflow, MissingInput

if TYPE_CHECKING:
    from nightferry.catalog.declarations import Task, Workflow

_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def reject_builder_options(declaration: str, location: str, **options: object) -> None:
    """Reject options of the builder for a workflow that is declared by its definition. Raises InvalidWorkflow."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InvalidWorkflow(
            f"{', '.join(given)} cannot be used with a definition. Set Retry and TimeoutSeconds in it instead.",
            declaration=declaration,
            location=location,
        )


def check_definition(document: dict[str, Any], declared: Collection[str], declaration: str, location: str) -> None:
    """Reject a definition that Step Functions would reject, that uses an undeclared resource, or that no role can fit.

    The permissions of the workflow's role follow from its definition.
    """
    from nightferry.states import InvalidDefinition, parse
    from nightferry.states.language.resources import BUILT_IN
    from nightferry.states.language.rules import find_resources

    try:
        program = parse(document).program
    except InvalidDefinition as error:
        message = "; ".join(str(problem) for problem in error.problems)
        raise InvalidWorkflow(message, declaration=declaration, location=location) from None
    known = {*BUILT_IN, *declared}
    unknown = [(path, name) for path, name in find_resources(program) if name not in known]
    if unknown:
        message = "; ".join(f"{path}: resource '{name}' is not declared" for path, name in unknown)
        raise InvalidWorkflow(
            f"{message}. Available resources: {', '.join(sorted(known))}. Declare another with "
            f"catalog.resource('{unknown[0][1]}', local='package.module:callable').",
            declaration=declaration,
            location=location,
        )
    try:
        check_derivable(document)
    except NotDerivable as problem:
        raise InvalidWorkflow(str(problem), declaration=declaration, location=location) from None


def check_required_input(
    target: Task | Workflow, supplied: Iterable[str], by: str, declaration: str, location: str
) -> None:
    """Check that a schedule or trigger supplies what each execution of a workflow reads. Raises MissingInput."""
    supplied = sorted(supplied)
    missing = [name for name in getattr(target, "required", ()) if name not in supplied]
    if missing:
        raise MissingInput(
            f"Workflow '{target.name}' reads {', '.join(missing)} of its input, but {by} supplies only "
            f"{', '.join(supplied)}. Give it a default: Input({missing[0]!r}, default=…).",
            declaration=declaration,
            location=location,
        )


def check_callable_name(target: str, declaration: str, location: str) -> None:
    """Check that a target has the form ``package.module:callable``. Raises InvalidWorkflow."""
    if not _CALLABLE.fullmatch(target):
        raise InvalidWorkflow(
            f"local = {target!r} is not a callable's name. Use the form 'package.module:callable'.",
            declaration=declaration,
            location=location,
        )


def check_integration(resource: str, declaration: str, location: str) -> None:
    """Check that a resource is the ARN of a Step Functions integration that is not built in. Raises InvalidWorkflow."""
    from nightferry.states.language.resources import BUILT_IN, parse

    if parse(resource).kind != "integration":
        raise InvalidWorkflow(
            "It is not the ARN of an integration. Use an ARN such as 'arn:aws:states:::sqs:sendMessage'.",
            declaration=declaration,
            location=location,
        )
    if resource in BUILT_IN:
        raise InvalidWorkflow(
            "It is built in, so every workflow can use it. Remove the declaration.",
            declaration=declaration,
            location=location,
        )
