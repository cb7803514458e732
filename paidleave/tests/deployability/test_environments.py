"""Terraform deploys each environment to an emulated AWS, and finds nothing to change afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.testing.aws_provider.deployment import Deployment
from tests.terraform.test_golden import ENVIRONMENTS

PROJECT = Project.find(Path(__file__).parent)


@pytest.mark.parametrize(
    "name", [name if name == "test" else pytest.param(name, marks=pytest.mark.long) for name in ENVIRONMENTS]
)
def test_the_second_plan_is_empty(emulated_aws: str, tmp_path: Path, name: str) -> None:
    deployment = Deployment(PROJECT.catalog, PROJECT.environment(name), tmp_path)
    plan = deployment.apply_and_plan("first")
    assert plan.changes == {}, plan.text
    assert "Warning" not in plan.text  # such as a deprecated argument
    assert deployment.find_overwritten() == []


@pytest.mark.long
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_next_version_changes_the_definitions_only(emulated_aws: str, tmp_path: Path, name: str) -> None:
    deployment = Deployment(PROJECT.catalog, PROJECT.environment(name), tmp_path)
    deployment.apply("first")
    plan = deployment.plan("second")
    definitions = {address for address in plan.changes if ".aws_ecs_task_definition." in address}
    assert len(definitions) == len(PROJECT.catalog.tasks)
    assert plan.changes.keys() - definitions == {"aws_ssm_parameter.image_tag"}, plan.text
    deployment.destroy("first")
    assert deployment.resources_by_address() == {}
