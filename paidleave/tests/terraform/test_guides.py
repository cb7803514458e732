"""The guides of the infrastructure are complete and name existing files."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from botocore.session import get_session

from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.aws_settings import AwsSettings
from nightferry.environments.project import Project
from nightferry.terraform.files import Files, read
from nightferry.terraform.reading.expansion import expand
from nightferry.terraform.reading.expected import find_expected
from nightferry.terraform.reading.inventory import build_inventory
from nightferry.testing.iam.statements import Need, find_allowing, matches

PROJECT = Project.find(Path(__file__).parent)
OVERVIEW = (PROJECT.root / "infra" / "ecs-tasks" / "README.md").read_text(encoding="utf-8")
GUIDE = (PROJECT.root / "docs" / "creating-environments.md").read_text(encoding="utf-8")
FIRST_DEPLOYMENT = (PROJECT.root / "docs" / "first-deployment.md").read_text(encoding="utf-8")
NEW_TASK = (PROJECT.root / "docs" / "infra" / "creating-ecs-tasks.md").read_text(encoding="utf-8")
PERMISSIONS = (PROJECT.root / "docs" / "permissions.md").read_text(encoding="utf-8")


@cache
def read_infra(environment: str) -> Files:
    return read(PROJECT.root / "infra", environment)


def test_every_named_key_of_an_environment_exists() -> None:
    named = set(re.findall(r"`aws\.(\w+)", GUIDE))
    assert {"account", "state"} <= named <= AwsSettings.model_fields.keys()


def test_every_synthesized_file_is_in_the_overview() -> None:
    for path in read_infra("test"):
        if path.endswith(".tf.json") and path.startswith("ecs-tasks/"):
            assert f"`{path.rpartition('/')[2]}`" in OVERVIEW, path


def test_every_path_in_the_guides_exists() -> None:
    for text in (OVERVIEW, GUIDE, NEW_TASK):
        for path in re.findall(r"`((?:src|infra)/[\w./-]+)`", text):
            assert (PROJECT.root / path).exists(), path


def test_the_first_deployment_names_what_exists_in_test() -> None:
    catalog, prefix = PROJECT.catalog, "paid-leave-api-test"
    names = {name for _, name in build_inventory(read_infra("test"), "test").resources}
    described = set(re.findall(rf"(?<![/\w]){prefix}-[a-z-]+", FIRST_DEPLOYMENT))
    assert described >= {f"{prefix}-cps-errors-failed", f"{prefix}-paidleave-check", f"{prefix}-task-failures"}
    assert described <= names
    for command in re.findall(r"(?:run-ecs-task test|nightferry start|--run) ([a-z-]+)", FIRST_DEPLOYMENT):
        assert command in {*catalog.tasks, *catalog.workflows}
    ((bucket, key),) = re.findall(r"s3://([a-z-]+)/(\S+)", FIRST_DEPLOYMENT)
    settings = PROJECT.environment("test").aws
    assert settings is not None
    triggers = [
        one for one in catalog.object_triggers.values()
        if settings.buckets[one.bucket].name == bucket and key.startswith(one.prefix) and key.endswith(one.suffix)
    ]  # fmt: skip
    assert len(triggers) == 1


def test_the_schedule_of_the_first_deployment_is_a_request_of_the_api() -> None:
    members = get_session().get_service_model("scheduler").operation_model("CreateSchedule").input_shape
    (program,) = re.findall(r"'(\{Name: .*?\})'", FIRST_DEPLOYMENT, re.DOTALL)
    named = set(re.findall(r"(\w+)(?=[:,]| *\})", re.sub(r'"[^"]*"', "", program))) - {""}
    assert set(members.required_members) <= named <= set(members.members)


def test_the_permissions_boundary_of_the_guide_allows_what_the_roles_do() -> None:
    section = PERMISSIONS.partition("## Permissions boundary\n")[2].partition("\n## ")[0]
    boundary = json.loads(section.partition("```json\n")[2].partition("```")[0])["Statement"]
    files = read_infra("prod")
    expected = find_expected(files, AwsResources(PROJECT.catalog, PROJECT.environment("prod")))
    assert len(expected.permissions) > 50
    for role, permissions in expected.permissions.items():
        for one in permissions:
            assert find_allowing(boundary, Need(one.action, one.resource, dict(one.context))), (role, one)
    assert not find_allowing(boundary, Need("iam:CreateRole", "*"))
    assert not find_allowing(boundary, Need("iam:PassRole", "arn:aws:iam::222222222222:role/admin"))


def test_the_key_policy_of_the_guide_covers_every_log_group_of_production() -> None:
    section = GUIDE.partition("## Encryption of logs\n")[2].partition("\n## ")[0]
    statement = json.loads(section.partition("```json\n")[2].partition("```")[0])
    patterns = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    resources = expand(read_infra("prod"), "ecs-tasks/prod")
    groups = [one for one in resources if one.type == "aws_cloudwatch_log_group"]
    assert len(groups) > 5
    for group in groups:
        arn = f"arn:aws:logs:us-east-1:222222222222:log-group:{group.name}"
        assert any(matches(pattern, arn) for pattern in patterns), arn


@pytest.mark.parametrize("name", ["test", "stage", "prod"])
def test_every_log_group_is_encrypted_with_the_key_of_the_environment(name: str) -> None:
    environment = PROJECT.environment(name)
    assert environment.aws is not None
    resources = expand(read_infra(name), f"ecs-tasks/{name}")
    keys = {one.arguments.get("kms_key_id") for one in resources if one.type == "aws_cloudwatch_log_group"}
    assert keys == {environment.aws.log_key}
    assert environment.aws.log_key
