"""The variables and secrets that ECS passes to a task, as its synthesized definition declares them."""

from __future__ import annotations

from collections.abc import Mapping

from nightferry.environments.aws_resources import AwsResources
from nightferry.terraform.reading.expansion import expand, reading_files
from nightferry.terraform.reading.expected import name_attributes
from nightferry.terraform.reading.values import decode


def find_variables(
    files: Mapping[str, str], resources: AwsResources, task: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables of a task's container, and the ARN of each secret's parameter by variable.

    Raises:
        NightferryError: The files cannot be expanded.
    """
    family = resources.naming.family(task)
    folder = f"ecs-tasks/{resources.environment.name}"
    with reading_files(folder):
        found = expand(files, folder, name_attributes(resources))
        (definition,) = (one for one in found if one.type == "aws_ecs_task_definition" and one.name == family)
        (container,) = (one for one in decode(definition.arguments["container_definitions"]) if one["name"] == task)
        return (
            {one["name"]: _unescape(one["value"]) for one in container.get("environment", [])},
            {one["name"]: one["valueFrom"] for one in container.get("secrets", [])},
        )


def _unescape(text: str) -> str:
    """Return the literal text of a template, whose expressions only Terraform can evaluate."""
    return text.replace("$${", "${").replace("%%{", "%{")
