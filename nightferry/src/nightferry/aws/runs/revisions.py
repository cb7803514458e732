"""The revisions of a task's family, and the tags of their images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.contract import parse_arn_id
from nightferry.environments.aws_resources import AwsResources


def read_newest_tag(resources: AwsResources, aws: Aws, task: str) -> str | None:
    """Return the image tag with which a new run of the task starts; None if the task was never deployed."""
    family = resources.naming.family(task)
    try:
        with aws.translate_errors(f"describe task definition {family}", missing=("ClientException",)):
            return _read_tag(aws, family, task)
    except ResourceNotFound:
        return None


def find_revision(resources: AwsResources, aws: Aws, task: str, tag: str) -> str | None:
    """Return the newest active revision of the task's family with this image tag, as ``FAMILY:REVISION``."""
    family = resources.naming.family(task)
    with aws.translate_errors(f"list the task definitions of {family}"):
        pages = aws.ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE")
        names = [parse_arn_id(arn) for page in pages for arn in page.get("taskDefinitionArns", [])]
        revisions = sorted(int(name.rpartition(":")[2]) for name in names if name.rpartition(":")[0] == family)
        return next(
            (
                f"{family}:{number}"
                for number in reversed(revisions)
                if _read_tag(aws, f"{family}:{number}", task) == tag
            ),
            None,
        )


def get_image_tag(definition: Mapping[str, Any], task: str) -> str:
    """Return the image tag of a task's container in a task definition; empty if it has no such container."""
    containers = definition.get("containerDefinitions", [])
    image = next((one.get("image", "") for one in containers if one.get("name") == task), "")
    return image.rpartition(":")[2]


def _read_tag(aws: Aws, definition: str, task: str) -> str:
    found: Any = aws.ecs.describe_task_definition(taskDefinition=definition)
    return get_image_tag(found.get("taskDefinition", {}), task)
