"""Synthesized Terraform: what the provider's schema says of it, stability, and the rules of AWS that it follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from longshore.errors import EnvironmentFileError
from longshore.references import substitute
from longshore.terraform import synthesize, write
from longshore.terraform.alarms import longest_gap
from tests.terraform.check_tf_json import check_directory, load_schema
from tests.terraform.example import ENVIRONMENT, JobSettings, make_catalog, make_environment

SCHEMA = Path(__file__).with_name("aws-provider-schema.json")
ROOT = "ecs-tasks/test"


def read(files: dict[str, str], name: str) -> Any:
    return json.loads(files[f"{ROOT}/{name}.tf.json"])


def statements(files: dict[str, str], policy: str) -> dict[str, Any]:
    """The statements of a synthesized policy document, by sid."""
    for name in ("iam", "triggers", "logs"):
        documents = read(files, name).get("data", {}).get("aws_iam_policy_document", {})
        if policy in documents:
            return {block.get("sid", "trust"): block for block in documents[policy]["statement"]}
    raise AssertionError(f"no policy {policy}")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    catalog = make_catalog()
    return synthesize(catalog, make_environment(catalog))


def test_the_provider_accepts_every_argument(files: dict[str, str], tmp_path: Path) -> None:
    write(files, tmp_path)
    schema = load_schema(SCHEMA)
    for folder in (ROOT, "modules/ecs_task_scheduler", "modules/s3_ecs_trigger"):
        assert list((tmp_path / folder).glob("*.tf.json"))
        assert check_directory(tmp_path / folder, schema) == []


def test_two_runs_are_byte_identical(files: dict[str, str]) -> None:
    catalog = make_catalog()
    assert synthesize(catalog, make_environment(catalog)) == files


def test_adding_a_task_adds_resources_and_changes_none(files: dict[str, str]) -> None:
    catalog = make_catalog()
    catalog.task("another", config=JobSettings, env={"FOLDER_PATH": "x"})
    after = synthesize(catalog, make_environment(catalog))
    shared_lists = {"aws_cloudwatch_event_rule", "aws_cloudwatch_dashboard"}  # they list all tasks of the environment
    for name in ("tasks", "iam", "schedules", "triggers", "workflows", "logs", "network", "alarms"):
        old = read(files, name).get("resource", {})
        new = read(after, name).get("resource", {})
        for kind, members in old.items():
            for address, body in members.items():
                if kind not in shared_lists:
                    assert new[kind][address] == body, f"{kind}.{address}"


def test_the_state_machine_is_the_definition_that_runs_locally(files: dict[str, str]) -> None:
    catalog = make_catalog()
    template = files[f"{ROOT}/workflows/nightly.asl.json"]
    variables = read(files, "workflows")["locals"]["nightly_variables"]
    rendered = template
    for name, value in variables.items():
        rendered = rendered.replace(f"${{{name}}}", value)
    answers = {
        "cluster": "${data.aws_ecs_cluster.this.arn}",
        "subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "security_groups": ["${aws_security_group.tasks.id}"],
        "environment": "test",
        "topic": "${aws_sns_topic.failures.arn}",
    }

    def resolve(reference: Any) -> Any:
        if reference.kind == "task":
            return f"${{aws_ecs_task_definition.{reference.name}.arn_without_revision}}"
        return answers[reference.kind]

    assert json.loads(rendered) == substitute(dict(catalog.workflows["nightly"].definition), resolve)


def test_an_execution_role_reads_its_own_secrets_and_no_others(files: dict[str, str]) -> None:
    path = "arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test"
    shared = "arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test/common/new-relic"
    assert statements(files, "load_execution")["ReadItsOwnSecrets"]["resources"] == [shared, f"{path}/load/key"]
    assert statements(files, "report_execution")["ReadItsOwnSecrets"]["resources"] == [shared]


def test_every_star_resource_says_in_its_id_that_aws_knows_no_other(files: dict[str, str]) -> None:
    for name in ("iam", "triggers", "logs"):
        for policy, document in read(files, name).get("data", {}).get("aws_iam_policy_document", {}).items():
            for block in document["statement"]:
                if "*" in block.get("resources", []):
                    assert block["sid"].startswith("AnyResourceBecause"), policy


def test_every_trust_is_closed_to_a_confused_deputy(files: dict[str, str]) -> None:
    for name in ("iam", "triggers"):
        for policy, document in read(files, name)["data"]["aws_iam_policy_document"].items():
            if policy.endswith("_trust"):
                variables = {rule["variable"] for rule in document["statement"][0]["condition"]}
                assert {"aws:SourceAccount", "aws:SourceArn"} <= variables, policy


def test_whoever_starts_a_task_may_start_every_revision_and_pass_both_roles(files: dict[str, str]) -> None:
    allowed = statements(files, "workflow_nightly")
    assert allowed["StartTheTasks"]["resources"] == [
        "${aws_ecs_task_definition.load.arn_without_revision}:*",
        "${aws_ecs_task_definition.report.arn_without_revision}:*",
    ]
    assert "${aws_iam_role.load_execution.arn}" in allowed["PassTheTasksRoles"]["resources"]


def test_a_value_cannot_become_a_template_of_terraform(files: dict[str, str]) -> None:
    container = read(files, "tasks")["locals"]["load_container"]
    variables = {item["name"]: item["value"] for item in container["environment"]}
    assert variables["MODE"] == "a $${literal} b"
    assert variables["FOLDER_PATH"] == "s3://org-test-inbox/in"


def test_a_container_is_hardened(files: dict[str, str]) -> None:
    container = read(files, "tasks")["locals"]["report_container"]
    assert container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"] == {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}}
    assert container["logConfiguration"]["options"]["mode"] == "blocking"


def test_one_notification_holds_all_triggers_of_a_bucket(files: dict[str, str]) -> None:
    notifications = read(files, "triggers")["resource"]["aws_s3_bucket_notification"]
    assert list(notifications) == ["inbox"]
    assert [rule["id"] for rule in notifications["inbox"]["lambda_function"]] == ["on-file"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('notifications = "ours"', 'notifications = "shared"', 'via="eventbridge"'),
        ('backend = "aws"', 'backend = "local"', "has nothing to deploy"),
        ('bucket_prefix = "org"', "", "what is bucket"),
        ("[settings]", '[settings]\nnightly = "cron(0 0 * * * *)"', "exactly one"),
        ("[settings]", '[settings]\nnightly = "${service:clock.time}"', "not a schedule"),
    ],
)
def test_an_environment_that_cannot_hold_the_catalogue_is_refused(old: str, new: str, message: str) -> None:
    catalog = make_catalog()
    text = ENVIRONMENT.replace(old, new)
    if "what is bucket" in message:
        text = text.replace("[aws.buckets.inbox]\n", "[aws.buckets.other]\n")
    with pytest.raises(EnvironmentFileError) as caught:
        synthesize(catalog, make_environment(catalog, text))
    assert message in str(caught.value)


def test_files_that_are_no_longer_synthesized_go_and_those_of_others_stay(
    files: dict[str, str], tmp_path: Path
) -> None:
    write(files, tmp_path)
    (tmp_path / ROOT / "old.tf.json").write_text("{}")
    (tmp_path / ROOT / ".terraform.lock.hcl").write_text("")
    assert write(files, tmp_path) == [tmp_path / ROOT / "old.tf.json"]
    assert (tmp_path / ROOT / ".terraform.lock.hcl").exists()


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("rate(1 hour)", 1),
        ("cron(30 20 * * ? *)", 25),
        ("cron(0 9 ? * MON-FRI *)", 73),
        ("at(2027-01-01T00:00:00)", None),
    ],
)
def test_the_longest_time_between_two_fires(expression: str, hours: int | None) -> None:
    """25 and 73 hours: a day of 25 hours when the clocks go back, and a weekend with it."""
    gap = longest_gap(expression, "America/New_York")
    assert (None if gap is None else gap.total_seconds() / 3600) == hours
