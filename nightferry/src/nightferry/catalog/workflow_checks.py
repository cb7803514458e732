"""What the catalogue checks of workflows, and of what they call, when they are declared."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from nightferry.errors import InvalidWorkflow

_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def reject_builder_options(declaration: str, location: str, **options: object) -> None:
    """A definition in Amazon States Language has its own Retry, TimeoutSeconds and Catch."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InvalidWorkflow(
            f"It is given as a definition, which says {', '.join(given)} itself: write Retry, TimeoutSeconds and Catch "
            "into the definition.",
            declaration=declaration,
            location=location,
        )


def check_definition(document: dict[str, Any], declared: Collection[str], declaration: str, location: str) -> None:
    """Refuse what Step Functions would refuse, and resources that nothing here could run."""
    from nightferry.states import InvalidDefinition, parse
    from nightferry.states.language.resources import INVOKE, PUBLISH, RUN_TASK, RUN_TASK_ONLY, START_EXECUTION
    from nightferry.states.language.rules import resources

    try:
        program = parse(document).program
    except InvalidDefinition as error:
        message = "; ".join(str(problem) for problem in error.problems)
        raise InvalidWorkflow(message, declaration=declaration, location=location) from None
    known = {RUN_TASK, RUN_TASK_ONLY, PUBLISH, INVOKE, *START_EXECUTION, *declared}
    unknown = [(path, name) for path, name in resources(program) if name not in known]
    if unknown:
        message = "; ".join(f"{path}: nothing here can run '{name}'" for path, name in unknown)
        raise InvalidWorkflow(
            f"{message}. There are: {', '.join(sorted(known))}. Declare another with "
            f"catalog.resource('{unknown[0][1]}', local='package.module:callable').",
            declaration=declaration,
            location=location,
        )


def check_callable_name(target: str, declaration: str, location: str) -> None:
    """``package.module:callable``."""
    if not _CALLABLE.fullmatch(target):
        raise InvalidWorkflow(
            f"local names a callable as 'package.module:callable', not as {target!r}.",
            declaration=declaration,
            location=location,
        )


def check_integration(resource: str, declaration: str, location: str) -> None:
    """The ARN of a resource that can be declared: one of Step Functions' integrations, and none that exists already."""
    from nightferry.states.language.resources import INVOKE, PUBLISH, RUN_TASK, RUN_TASK_ONLY, START_EXECUTION, parse

    if parse(resource).kind != "integration":
        raise InvalidWorkflow(
            "A resource is the ARN of an integration, such as 'arn:aws:states:::sqs:sendMessage'.",
            declaration=declaration,
            location=location,
        )
    if resource in {RUN_TASK, RUN_TASK_ONLY, PUBLISH, INVOKE, *START_EXECUTION}:
        raise InvalidWorkflow(
            "Every workflow can name it as it is: declare nothing.", declaration=declaration, location=location
        )
