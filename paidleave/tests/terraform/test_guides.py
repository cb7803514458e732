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
ENVIRONMENTS = ("test", "stage", "prod")


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


def test_every_alarm_of_all_environments_and_no_other_is_listed_with_its_metrics() -> None:
    found: dict[str, set[str]] = {}
    for name in ENVIRONMENTS:
        resources = json.loads(read_infra(name)[f"ecs-tasks/{name}/alarms.tf.json"])["resource"]
        for alarm in resources["aws_cloudwatch_metric_alarm"].values():
            kind = classify(alarm["alarm_name"].removeprefix(f"paid-leave-api-{name}-"))
            found.setdefault(kind, set()).add(alarm["metric_name"])
    section = OVERVIEW.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (`.*) \|$", section, re.MULTILINE)]
    listed = {kind: set(re.findall(r"`(\w+)`", row[1])) for row in rows for kind in re.findall(r"`([^`]+)`", row[0])}
    assert listed == found


def classify(alarm: str) -> str:
    """Return the name of an alarm with the kind of its declaration in capitals."""
    catalog = PROJECT.catalog
    kinds = {"TASK": catalog.tasks, "WORKFLOW": catalog.workflows, "SCHEDULE": catalog.schedules}
    chats = {f"{topic}-{chat}" for topic in catalog.topics for chat in ("slack", "teams")}
    for kind, names in {**kinds, "TRIGGER": catalog.object_triggers, "TOPIC-CHAT": chats}.items():
        for name in names:
            suffix = alarm.removeprefix(f"{name}-")
            if suffix != alarm and f"{kind}-{suffix}" in OVERVIEW:
                return f"{kind}-{suffix}"
    return alarm


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


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_log_group_is_encrypted_with_the_key_of_the_environment(name: str) -> None:
    environment = PROJECT.environment(name)
    assert environment.aws is not None
    resources = expand(read_infra(name), f"ecs-tasks/{name}")
    keys = {one.arguments.get("kms_key_id") for one in resources if one.type == "aws_cloudwatch_log_group"}
    assert keys == {environment.aws.log_key}
    assert environment.aws.log_key
