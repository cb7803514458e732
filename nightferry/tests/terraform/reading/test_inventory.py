"""The inventory of synthesized files contains the declarations of the catalog, regardless of the modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nightferry.container import ENTRY_POINT
from nightferry.errors import NightferryError
from nightferry.overrides import PERSONAL_VARIABLES
from nightferry.terraform import synthesize, write
from nightferry.terraform.reading.inventory import Inventory, build_inventory, format_lines
from tests.cli.terminal import nightferry
from tests.terraform.example import make_catalog, make_environment

PARAMETERS = "arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test"
EXECUTIONS = "arn:aws:states:us-east-1:123456789012:execution:"
GROUP = "service/example-test/ecs-tasks"


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    catalog = make_catalog()
    return synthesize(catalog, make_environment(catalog))


@pytest.fixture(scope="module")
def listed(files: dict[str, str]) -> Inventory:
    return build_inventory(files, "test")


def test_each_declaration_is_listed_once(listed: Inventory) -> None:
    by_type: dict[str, dict[str, Any]] = {}
    for (kind, name), count in listed.resources.items():
        by_type.setdefault(kind, {})[name] = count
    assert by_type["aws_ecs_task_definition"] == {"example-test-load": 1, "example-test-report": 1}
    assert by_type["aws_scheduler_schedule"] == {"example-test-for-a-year": 1, "example-test-nightly": 1}
    assert by_type["aws_cloudwatch_event_rule"].keys() == {
        "example-test-hourly",
        "example-test-nightly-failed",
        "example-test-on-batch",
        "example-test-on-table",
        "example-test-task-states",
    }
    assert by_type["aws_lambda_function"] == {
        "example-test-failure-notices": 1,
        "example-test-failures-slack": 1,
        "example-test-failures-teams": 1,
        "example-test-on-batch-trigger": 1,
        "example-test-on-file-trigger": 1,
        "example-test-on-table-trigger": 1,
    }
    assert by_type["aws_sfn_state_machine"] == {"example-test-nightly": 1}
    assert by_type["aws_iam_role"].keys() == listed.roles.keys()
    assert by_type["aws_iam_role"].keys() == {
        "example-test-load",
        "example-test-load-execution",
        "example-test-report",
        "example-test-report-execution",
        "example-test-nightly-workflow",
        "example-test-nightly-schedule",
        "example-test-for-a-year-schedule",
        "example-test-hourly-schedule",
        "example-test-on-file-trigger",
        "example-test-on-table-trigger",
        "example-test-failure-notices",
        "example-test-failures-slack",
        "example-test-failures-teams",
        "example-test-on-batch-trigger",
    }
    # Each role has a policy; that of "report" allows only the login to the database.
    assert by_type["aws_iam_role_policy"].keys() == by_type["aws_iam_role"].keys()
    assert {kind: sum(names.values()) for kind, names in by_type.items() if kind.startswith("aws_cloudwatch_log")} == {
        "aws_cloudwatch_log_group": 9,
        "aws_cloudwatch_log_metric_filter": 2,
        "aws_cloudwatch_log_resource_policy": 1,
        "aws_cloudwatch_log_subscription_filter": 2,
    }


def test_the_container_matches_the_declaration(listed: Inventory) -> None:
    (container,) = listed.containers["example-test-load"]
    *entry_point, rules = container["entryPoint"]
    assert tuple(entry_point) == ENTRY_POINT
    assert json.loads(rules) == {
        "task": "load",
        "program": ["load"],
        "args": "options",
        "fixed": {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "ENVIRONMENT": "test",
            "FOLDER_PATH": "s3://org-test-inbox/in",
            "MODE": "a $${literal} b",
            "NIGHTFERRY_LEASE": "database",
            "NIGHTFERRY_OVERLAP": "skip",
            "NIGHTFERRY_PRIVACY": "secrets-only",
            "NIGHTFERRY_SECRETS": "KEY,NEW_RELIC_LICENSE_KEY",
            "NIGHTFERRY_TASK": "load",
            "NIGHTFERRY_TIME_LIMIT": "3600",
        },
        "open": {
            **dict.fromkeys(PERSONAL_VARIABLES, ".*"),
            "NIGHTFERRY_START_ID": "[0-9a-f-]{1,64}",
            "SFN_EXECUTION_ID": f"{EXECUTIONS}(?:example-test-nightly)(?:/[^:]+)?:.+",
        },
        "secrets": ["KEY", "NEW_RELIC_LICENSE_KEY"],
    }
    assert {key: value for key, value in container.items() if key != "entryPoint"} == {
        "name": "load",
        "image": "${data.aws_ecr_repository.image.repository_url}:"
        "${coalesce(var.image_tag, one(data.aws_ssm_parameter.image_tag[*].insecure_value))}",
        "essential": True,
        "environment": [
            {"name": "ENVIRONMENT", "value": "test"},
            {"name": "FOLDER_PATH", "value": "s3://org-test-inbox/in"},
            {"name": "MODE", "value": "a $${literal} b"},
            {"name": "NIGHTFERRY_LEASE", "value": "database"},
            {"name": "NIGHTFERRY_OVERLAP", "value": "skip"},
            {"name": "NIGHTFERRY_PRIVACY", "value": "secrets-only"},
            {"name": "NIGHTFERRY_SECRETS", "value": "KEY,NEW_RELIC_LICENSE_KEY"},
            {"name": "NIGHTFERRY_TASK", "value": "load"},
            {"name": "NIGHTFERRY_TIME_LIMIT", "value": "3600"},
        ],
        "secrets": [
            {"name": "KEY", "valueFrom": f"{PARAMETERS}/load/key"},
            {"name": "NEW_RELIC_LICENSE_KEY", "valueFrom": f"{PARAMETERS}/common/new-relic"},
        ],
        "readonlyRootFilesystem": True,
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"add": [], "drop": ["ALL"]}},
        "stopTimeout": 120,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": GROUP,
                "awslogs-region": "us-east-1",
                "awslogs-stream-prefix": "test",
                "mode": "blocking",
            },
        },
    }


def test_the_two_roles_of_a_task_match_the_declaration(listed: Inventory) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": ["ecs-tasks.amazonaws.com"]},
        "Action": ["sts:AssumeRole"],
        "Condition": {
            "StringEquals": {"aws:SourceAccount": ["123456789012"]},
            "ArnLike": {"aws:SourceArn": ["arn:aws:ecs:us-east-1:123456789012:*"]},
        },
    }
    load, execution = listed.roles["example-test-load"], listed.roles["example-test-load-execution"]
    assert load["trust"] == execution["trust"] == [trust]
    granted = [(one["Sid"], one["Action"], one["Resource"]) for one in load["statements"]]
    writing = [
        "s3:GetObject",
        "s3:GetObjectTagging",
        "s3:PutObject",
        "s3:PutObjectTagging",
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
    ]
    bucket = "arn:aws:s3:::org-test-inbox"
    login = "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ABCDEFGHIJKLMNOP/jobs"
    assert granted == [
        ("ListInbox", ["s3:ListBucket"], [bucket]),
        ("ReadWriteDeleteInbox", writing, [f"{bucket}/in/*"]),
        ("PublishToTopics", ["sns:Publish"], ['${aws_sns_topic["example-test-failures"].arn}']),
        (
            "EncryptForTopics",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            ['${aws_kms_key["Topics of example-test."].arn}'],
        ),
        ("AssumeVendorRole", ["sts:AssumeRole"], ["arn:aws:iam::210987654321:role/exchange"]),
        ("ConnectToDatabase", ["rds-db:connect"], [login]),
    ]
    assert load["statements"][0]["Condition"] == {"StringLike": {"s3:prefix": ["in/*"]}}
    assert load["statements"][4]["Condition"] == {"StringEquals": {"sts:ExternalId": ["shared"]}}
    assert execution["statements"] == [
        {
            "Sid": "EcrAuthorizationToken",
            "Effect": "Allow",
            "Action": ["ecr:GetAuthorizationToken"],
            "Resource": ["*"],
        },
        {
            "Sid": "PullImage",
            "Effect": "Allow",
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": ["${data.aws_ecr_repository.image.arn}"],
        },
        {
            "Sid": "WriteLog",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [f'${{aws_cloudwatch_log_group["{GROUP}"].arn}}:*'],
        },
        {
            "Sid": "ReadSecrets",
            "Effect": "Allow",
            "Action": ["ssm:GetParameters"],
            "Resource": [f"{PARAMETERS}/common/new-relic", f"{PARAMETERS}/load/key"],
        },
    ]


def test_a_starter_of_a_task_may_pass_its_two_roles(listed: Inventory) -> None:
    for role in ("example-test-on-file-trigger", "example-test-hourly-schedule", "example-test-nightly-workflow"):
        statements = {one["Sid"]: one for one in listed.roles[role]["statements"]}
        task = "load" if "file" in role or "nightly" in role else "report"
        passed = statements["PassTaskRoles"]["Resource"]
        assert passed[:2] == [
            f'${{aws_iam_role["example-test-{task}"].arn}}',
            f'${{aws_iam_role["example-test-{task}-execution"].arn}}',
        ]
        definition = f"arn:aws:ecs:us-east-1:123456789012:task-definition/example-test-{task}:*"
        assert definition in statements["RunTasks" if "nightly" in role else "RunTask"]["Resource"]


def test_the_command_lists_the_written_files(files: dict[str, str], listed: Inventory, tmp_path: Path) -> None:
    write(files, tmp_path / "infra")
    printed = nightferry(tmp_path, "resources", "--env", "test", "--infra", "infra", "--json")
    assert json.loads(printed.stdout) == listed.to_json()
    printed = nightferry(tmp_path, "resources", "--env", "test", "--infra", "infra")
    assert printed.stdout.splitlines() == list(format_lines(listed))
    missing = nightferry(tmp_path, "resources", "--env", "prod", "--infra", "infra")
    assert missing.returncode == 2
    assert "nightferry synth --env prod --out infra" in missing.stderr


def test_a_repeated_id_principal_condition_or_role_hides_nothing() -> None:
    trust = [
        {"type": "Service", "identifiers": ["lambda.amazonaws.com"]},
        {"type": "Service", "identifiers": ["ec2.amazonaws.com"]},
    ]
    limits = [{"test": "StringLike", "variable": "s3:prefix", "values": [value]} for value in ("in/*", "*")]
    statement = {"sid": "A", "actions": ["s3:ListBucket"], "resources": ["*"], "condition": limits}
    root = {
        "data": {
            "aws_iam_policy_document": {
                "trust": {"statement": {"actions": ["sts:AssumeRole"], "principals": trust}},
                "policy": {"statement": [statement, statement | {"actions": ["s3:PutObject"]}]},
            }
        },
        "resource": {
            "aws_iam_role": {
                name: {"name": "same", "assume_role_policy": "${data.aws_iam_policy_document.trust.json}"}
                for name in ("one", "two")
            },
            "aws_iam_role_policy": {
                "one": {
                    "name": "one",
                    "role": "${aws_iam_role.one.id}",
                    "policy": "${data.aws_iam_policy_document.policy.json}",
                }
            },
        },
    }
    role = build_inventory({"ecs-tasks/x/main.tf.json": json.dumps(root)}, "x").roles["same"]
    assert len(role["trust"]) == 2
    assert role["trust"][0]["Principal"] == {"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}
    assert [one["Action"] for one in role["statements"]] == [["s3:ListBucket"], ["s3:PutObject"]]
    assert role["statements"][0]["Condition"] == {"StringLike": {"s3:prefix": ["in/*", "*"]}}


def test_an_unknown_count_and_for_each_are_listed() -> None:
    root = {
        "variable": {"many": {}},
        "locals": {"queues": {"b": "two", "a": "one"}},
        "resource": {
            "aws_sqs_queue": {
                "each": {"for_each": "${local.queues}", "name": "${each.key}-${each.value}"},
                "some": {"count": "${var.many}", "name": "some"},
                "none": {"count": 0, "name": "none"},
            }
        },
    }
    listed = build_inventory({"ecs-tasks/x/main.tf.json": json.dumps(root)}, "x")
    assert listed.resources == {
        ("aws_sqs_queue", "a-one"): 1,
        ("aws_sqs_queue", "b-two"): 1,
        ("aws_sqs_queue", "some"): "${var.many}",
    }


def test_a_missing_or_repeated_module_is_an_error() -> None:
    call = {"module": {"task": {"source": "../../modules/gone"}}}
    with pytest.raises(NightferryError, match=r"modules/gone has no \*.tf.json files"):
        build_inventory({"ecs-tasks/x/main.tf.json": json.dumps(call)}, "x")
    call["module"]["task"]["count"] = "2"
    with pytest.raises(NightferryError, match="has for_each or count"):
        build_inventory({"ecs-tasks/x/main.tf.json": json.dumps(call)}, "x")
