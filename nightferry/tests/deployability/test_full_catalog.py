"""All tasks of a state agency and the smallest project, deployed by Terraform to an emulated AWS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nightferry.catalog.declarations import Secret
from nightferry.environments.project import Project
from nightferry.states.builder import Retry
from nightferry.testing.aws_provider.deployment import Deployment
from tests.terraform import example, full_catalog

HELLO = Path(__file__).parents[3] / "examples" / "hello"
FORWARDER = """
[aws.new_relic_forwarder]
license_key = "common/newrelic-license-key"
"""


@pytest.mark.long
def test_the_full_catalog_is_deployed_and_destroyed(emulated_aws: str, tmp_path: Path) -> None:
    catalog = full_catalog.make_catalog()
    assert (len(catalog.tasks), len(catalog.schedules), len(catalog.object_triggers)) == (39, 19, 3)
    check(Deployment(catalog, full_catalog.make_environment(catalog), tmp_path))


@pytest.mark.long
def test_our_own_log_forwarder_is_deployed_and_destroyed(emulated_aws: str, tmp_path: Path) -> None:
    catalog = example.make_catalog()
    lines = [line for line in example.ENVIRONMENT.splitlines() if not line.startswith("log_forwarder")]
    environment = example.make_environment(catalog, "\n".join(lines) + FORWARDER)
    check(Deployment(catalog, environment, tmp_path))


@pytest.mark.long
def test_retries_are_deployed_and_destroyed(emulated_aws: str, tmp_path: Path) -> None:
    catalog = example.make_catalog()
    for name, task in catalog.tasks.items():
        catalog.tasks[name] = replace(task, retry=Retry(attempts=3, interval=60))
    check(Deployment(catalog, example.make_environment(catalog), tmp_path))


@pytest.mark.long
def test_an_environment_without_a_database_is_deployed_and_destroyed(emulated_aws: str, tmp_path: Path) -> None:
    catalog = example.make_catalog()
    for name, task in catalog.tasks.items():
        catalog.tasks[name] = replace(task, secrets={**task.secrets, "DB_PASSWORD": Secret("db-password")})
    lines = [line for line in example.ENVIRONMENT.splitlines() if not line.startswith("database_")]
    check(Deployment(catalog, example.make_environment(catalog, "\n".join(lines)), tmp_path))


@pytest.mark.long
def test_the_smallest_project_is_deployed_and_destroyed(emulated_aws: str, tmp_path: Path) -> None:
    project = Project.find(HELLO)
    check(Deployment(project.catalog, project.environment("test"), tmp_path))


def check(deployment: Deployment) -> None:
    """Deploy, expect that the next plan is empty, and destroy."""
    plan = deployment.apply_and_plan("one")
    assert plan.changes == {}, plan.text
    assert deployment.find_overwritten() == []
    deployment.destroy("one")
    assert deployment.resources_by_address() == {}
