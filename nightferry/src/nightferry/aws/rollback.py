"""Back to the image that was deployed before, without Terraform: for the minutes after a deployment that went wrong.

::

    which tag (the parameter's history) ─► is its image there ─► a copy of each family's last revision with that tag
    ─► the parameter, last: it tells of whole deployments only

Whoever starts a task names its family, and so gets the copy. It brings back the definition as it was: image, command,
variables, secrets, size. It does not touch workflows, schedules, triggers and roles, and no migration. It may be called
again after a crash at any point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from nightferry.aws.session import Aws, NotThere, client
from nightferry.contract import parse_arn_id
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import NightferryError

# What DescribeTaskDefinition tells and RegisterTaskDefinition does not take.
_NOT_OURS = frozenset(
    {"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt",
     "registeredBy", "deregisteredAt"}
)  # fmt: skip


class CannotRollBack(NightferryError):
    """There is nothing to go back to, or it is not there any more. Deploy a version instead."""


@dataclass(frozen=True)
class Step:
    """What becomes of one family. ``revision`` is the one that is copied, if any."""

    family: str
    action: Literal["copy", "as it is", "no such version"]
    revision: str | None = None


@dataclass(frozen=True)
class Plan:
    """From which tag to which, and what becomes of each family."""

    current: str
    target: str
    steps: tuple[Step, ...]


def plan(resources: AwsResources, aws: Aws, to: str | None = None) -> Plan:
    """What a rollback would do; nothing is changed. ``to`` is a tag instead of the one before.

    Raises CannotRollBack, and what :meth:`Aws.asking` raises.
    """
    history = _history(resources, aws)
    current = history[-1]
    newest = {task: _newest_tag(resources, aws, task) for task in resources.catalog.tasks}
    unfinished = any(tag is not None and tag not in history for tag in newest.values())
    # A deployment that stopped half way is undone; its tag never came into the parameter.
    target = to or (current if unfinished else next((tag for tag in reversed(history) if tag != current), None))
    if target is None:
        raise CannotRollBack(
            f"{current} is the first version that was deployed to {resources.environment.name}: there is none before."
        )
    repository = resources.catalog.image.repository
    try:
        with aws.asking(f"image {repository}:{target}", missing=("ImageNotFoundException",)):
            client(aws, "ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": target}])
    except NotThere:
        raise CannotRollBack(
            f"There is no image {repository}:{target} any more. Deploy a version that is there, or build this one "
            f"again."
        ) from None
    steps = tuple(_step(resources, aws, task, target, newest[task]) for task in resources.catalog.tasks)
    if not any(step.action != "no such version" for step in steps):
        raise CannotRollBack(f"No task was ever deployed with the tag {target} in {resources.environment.name}.")
    return Plan(current, target, steps)


def carry_out(resources: AwsResources, aws: Aws, plan: Plan) -> Iterator[Step]:
    """Do it; yields each family when it is done."""
    for step in plan.steps:
        if step.revision is not None:
            with aws.asking(f"the definition {step.revision}"):
                found: dict[str, Any] = dict(
                    aws.ecs.describe_task_definition(taskDefinition=step.revision, include=["TAGS"])
                )
            definition = {key: value for key, value in found["taskDefinition"].items() if key not in _NOT_OURS}
            if tags := found.get("tags"):
                definition["tags"] = tags
            with aws.asking(f"registering {step.family}"):
                aws.ecs.register_task_definition(**definition)
        yield step
    if plan.target != plan.current:
        name = resources.naming.image_tag_parameter
        with aws.asking(f"writing {name}"):
            aws.ssm.put_parameter(Name=name, Value=plan.target, Type="String", Overwrite=True)


def _history(resources: AwsResources, aws: Aws) -> list[str]:
    """The tags that were deployed, oldest first."""
    name = resources.naming.image_tag_parameter
    try:
        with aws.asking(name, missing=("ParameterNotFound",)):
            pages = aws.ssm.get_paginator("get_parameter_history").paginate(Name=name)
            versions = [version for page in pages for version in page["Parameters"]]
    except NotThere:
        raise CannotRollBack(
            f"Nothing was deployed to {resources.environment.name} yet: parameter {name} does not exist."
        ) from None
    return [version["Value"] for version in sorted(versions, key=lambda version: version["Version"])]


def _newest_tag(resources: AwsResources, aws: Aws, task: str) -> str | None:
    """The tag of the image that a task would start with now; None if it was never deployed."""
    family = resources.naming.family(task)
    try:
        with aws.asking(f"the definition of {family}", missing=("ClientException",)):
            return _tag(aws, family)
    except NotThere:
        return None


def _tag(aws: Aws, definition: str) -> str:
    found = aws.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    return found["containerDefinitions"][0]["image"].rpartition(":")[2]


def _step(resources: AwsResources, aws: Aws, task: str, target: str, newest: str | None) -> Step:
    family = resources.naming.family(task)
    if newest == target:
        return Step(family, "as it is")
    with aws.asking(f"the definitions of {family}"):
        pages = aws.ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE")
        names = [parse_arn_id(arn) for page in pages for arn in page["taskDefinitionArns"]]
        for name in sorted(names, key=lambda name: int(name.rpartition(":")[2]), reverse=True):
            if _tag(aws, name) == target:
                return Step(family, "copy", name)
    return Step(family, "no such version")
