"""Roll the tasks back to the previously deployed image, without Terraform, after a failed deployment.

::

    find the tag in the parameter's history ─► check that its image exists
    ─► register a copy of each family's last revision with that tag ─► write the parameter

The parameter is written last, because it records complete deployments only.

A task is started by its family, so new runs use the copy. The copy restores the whole definition: image, command,
variables, secrets and size. Workflows, schedules, triggers, roles and migrations stay unchanged. A rollback can be
repeated after a crash at any point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from nightferry.aws.runs.revisions import find_revision, read_newest_tag
from nightferry.aws.session import Aws, ResourceNotFound, create_client
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import NightferryError

# Fields that DescribeTaskDefinition returns and RegisterTaskDefinition rejects.
_OUTPUT_FIELDS = frozenset(
    {"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt",
     "registeredBy", "deregisteredAt"}
)  # fmt: skip


class CannotRollBack(NightferryError):
    """No previous version was deployed, or its image no longer exists. Deploy a version instead."""


@dataclass(frozen=True)
class RollbackStep:
    """The rollback of one family. ``revision`` is the revision to copy, if any."""

    family: str
    action: Literal["copy", "unchanged", "version not found"]
    revision: str | None = None


@dataclass(frozen=True)
class Plan:
    """The current tag, the target tag, and a step for each family."""

    current: str
    target: str
    steps: tuple[RollbackStep, ...]


def plan_rollback(resources: AwsResources, aws: Aws, to: str | None = None) -> Plan:
    """Return the steps of a rollback without changing anything. ``to`` is the target tag; default: the previous tag.

    Raises CannotRollBack, and the errors of :meth:`Aws.translate_errors`.
    """
    history = _read_tag_history(resources, aws)
    current = history[-1]
    newest = {task: read_newest_tag(resources, aws, task) for task in resources.catalog.tasks}
    unfinished = any(tag is not None and tag not in history for tag in newest.values())
    # The tag of an incomplete deployment is not in the parameter: roll back to the last complete deployment.
    target = to or (current if unfinished else next((tag for tag in reversed(history) if tag != current), None))
    if target is None:
        raise CannotRollBack(
            f"Cannot roll back {resources.environment.name}: {current} is the first version that was deployed to it. "
            "Deploy another version instead."
        )
    repository = resources.catalog.image.repository
    try:
        with aws.translate_errors(f"describe image {repository}:{target}", missing=("ImageNotFoundException",)):
            create_client(aws, "ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": target}])
    except ResourceNotFound:
        raise CannotRollBack(
            f"Image {repository}:{target} no longer exists. Deploy a version whose image exists, or rebuild this image."
        ) from None
    steps = tuple(_plan_step(resources, aws, task, target, newest[task]) for task in resources.catalog.tasks)
    if not any(step.action != "version not found" for step in steps):
        raise CannotRollBack(
            f"No task was ever deployed to {resources.environment.name} with tag {target}. Choose another tag."
        )
    return Plan(current, target, steps)


def roll_back(resources: AwsResources, aws: Aws, plan: Plan) -> Iterator[RollbackStep]:
    """Execute the plan. Yield each step when it is done."""
    for step in plan.steps:
        if step.revision is not None:
            with aws.translate_errors(f"describe task definition {step.revision}"):
                found: dict[str, Any] = dict(
                    aws.ecs.describe_task_definition(taskDefinition=step.revision, include=["TAGS"])
                )
            definition = {key: value for key, value in found["taskDefinition"].items() if key not in _OUTPUT_FIELDS}
            if tags := found.get("tags"):
                definition["tags"] = tags
            with aws.translate_errors(f"register task definition {step.family}"):
                aws.ecs.register_task_definition(**definition)
        yield step
    if plan.target != plan.current:
        name = resources.naming.image_tag_parameter
        with aws.translate_errors(f"write parameter {name}"):
            aws.ssm.put_parameter(Name=name, Value=plan.target, Type="String", Overwrite=True)


def _read_tag_history(resources: AwsResources, aws: Aws) -> list[str]:
    """Return the tags that were deployed, oldest first."""
    name = resources.naming.image_tag_parameter
    try:
        with aws.translate_errors(f"read the history of parameter {name}", missing=("ParameterNotFound",)):
            pages = aws.ssm.get_paginator("get_parameter_history").paginate(Name=name)
            versions = [version for page in pages for version in page["Parameters"]]
            tags = [version["Value"] for version in sorted(versions, key=lambda version: version["Version"])]
    except ResourceNotFound:
        raise CannotRollBack(
            f"Nothing has been deployed to {resources.environment.name} yet: parameter {name} does not exist. "
            "Deploy a version first."
        ) from None
    if not tags:
        raise CannotRollBack(f"The history of parameter {name} is empty. Deploy a version first.")
    return tags


def _plan_step(resources: AwsResources, aws: Aws, task: str, target: str, newest: str | None) -> RollbackStep:
    family = resources.naming.family(task)
    if newest == target:
        return RollbackStep(family, "unchanged")
    revision = find_revision(resources, aws, task, target)
    return RollbackStep(family, "copy", revision) if revision else RollbackStep(family, "version not found")
