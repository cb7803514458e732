"""The policies of the deploy role and the plan role cover the environment, and fit into IAM's rules and limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nightferry.backend.verify.verify_actions import AFTER_DEPLOY_ACTIONS, VERIFY_ACTIONS
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.errors import EnvironmentFileError
from nightferry.terraform import synthesize, write
from nightferry.terraform.deployers.calls import DATA_SOURCES, RESOURCES
from nightferry.terraform.deployers.policies import LARGEST_POLICY, MOST_POLICIES
from nightferry.terraform.reading.expansion import Resource, expand, expand_data_sources
from tests.terraform import example, full_catalog
from tests.terraform.test_permissions import SOURCE

Synthesized = Callable[[], dict[str, str]]
FOLDER = "ecs-tasks/test"
REFERENCE: dict[str, Any] = json.loads(Path(__file__).with_name("service-authorization.json").read_text("utf-8"))
del REFERENCE["//"]

BOUNDARY = "arn:aws:iam::123456789012:policy/background-tasks"

# An action that creates a resource of a type, for types whose resources have names.
CREATE = {
    "aws_cloudwatch_dashboard": "cloudwatch:PutDashboard",
    "aws_cloudwatch_event_rule": "events:PutRule",
    "aws_cloudwatch_log_group": "logs:CreateLogGroup",
    "aws_cloudwatch_metric_alarm": "cloudwatch:PutMetricAlarm",
    "aws_ecs_task_definition": "ecs:RegisterTaskDefinition",
    "aws_iam_role": "iam:CreateRole",
    "aws_lambda_function": "lambda:CreateFunction",
    "aws_lambda_function_event_invoke_config": "lambda:PutFunctionEventInvokeConfig",
    "aws_s3_bucket_notification": "s3:PutBucketNotification",
    "aws_scheduler_schedule": "scheduler:CreateSchedule",
    "aws_scheduler_schedule_group": "scheduler:CreateScheduleGroup",
    "aws_sfn_state_machine": "states:CreateStateMachine",
    "aws_sns_topic": "sns:CreateTopic",
    "aws_sqs_queue": "sqs:CreateQueue",
    "aws_ssm_parameter": "ssm:PutParameter",
}
# Their names are not parts of their own ARNs: they belong to another resource, or have an id.
UNNAMED = {
    "aws_cloudwatch_event_target",
    "aws_cloudwatch_log_metric_filter",
    "aws_cloudwatch_log_resource_policy",
    "aws_cloudwatch_log_subscription_filter",
    "aws_iam_role_policy",
    "aws_kms_key",
    "aws_lambda_permission",
    "aws_security_group",
    "aws_sns_topic_subscription",
    "aws_sqs_queue_policy",
    "aws_vpc_security_group_egress_rule",
    "aws_vpc_security_group_ingress_rule",
}


@cache
def synthesize_example(database: str = "db-ABCDEFGHIJKLMNOP") -> dict[str, str]:
    catalog = example.make_catalog()
    text = (
        example.ENVIRONMENT.replace("db-ABCDEFGHIJKLMNOP", database)
        + '[aws.state]\nbucket = "state"\nregion = "us-east-1"\n'
    )
    return synthesize(catalog, example.make_environment(catalog, text))


@cache
def synthesize_full() -> dict[str, str]:
    catalog = full_catalog.make_catalog()
    return synthesize(catalog, full_catalog.make_environment(catalog))


@cache
def synthesize_limited() -> dict[str, str]:
    catalog = full_catalog.make_catalog()
    return synthesize(catalog, full_catalog.make_environment(catalog, permissions_boundary=BOUNDARY))


BOTH = pytest.mark.parametrize("synthesized", [synthesize_example, synthesize_full])


def read_policies(files: dict[str, str], role: str) -> list[Any]:
    return [json.loads(text) for name, text in files.items() if name.startswith(f"{FOLDER}/{role}-role-policy-")]


def list_statements(files: dict[str, str], role: str) -> Iterator[Any]:
    for policy in read_policies(files, role):
        yield from policy["Statement"]


def allows(statements: Iterable[Any], action: str, resource: str) -> bool:
    """Return True if a statement allows the action on the resource under some condition."""
    return any(
        action in one["Action"] and any(fnmatchcase(resource, pattern) for pattern in one["Resource"])
        for one in statements
    )


def make_arn(action: str, found: Resource) -> str:
    """Return the ARN of a resource from AWS's template for the resources of an action."""
    values = {
        "Partition": "aws",
        "Region": "us-east-1",
        "Account": "123456789012",
        "GroupName": str(found.arguments.get("group_name")),
    }
    (template,) = [text for text in REFERENCE[action]["resources"] if "/${EventBusName}/" not in text]
    return re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], found.name), template).replace(
        "parameter//", "parameter/"
    )


@pytest.mark.parametrize("synthesized", [synthesize_example, pytest.param(synthesize_full, marks=pytest.mark.long)])
def test_each_resource_is_covered(synthesized: Synthesized) -> None:
    files = synthesized()
    deploy, plan = list(list_statements(files, "deploy")), list(list_statements(files, "plan"))
    resources = expand(files, FOLDER)
    assert {one.type for one in resources} <= CREATE.keys() | UNNAMED
    for one in resources:
        assert RESOURCES[one.type], "a resource type without calls"
        if one.type in CREATE:
            if one.type == "aws_scheduler_schedule_group":
                one = Resource(one.address, one.type, one.name, {"group_name": one.name})
            arn = make_arn(CREATE[one.type], one)
            assert allows(deploy, CREATE[one.type], arn), arn
            assert not allows(plan, CREATE[one.type], arn)
    without_calls = {"archive_file", "aws_caller_identity", "aws_iam_policy_document", "aws_partition", "aws_region"}
    assert {one.type for one in expand_data_sources(files, FOLDER)} <= DATA_SOURCES.keys() | without_calls


@pytest.mark.parametrize("synthesized", [synthesize_example, synthesize_full, synthesize_limited])
@pytest.mark.parametrize("role", ["deploy", "plan"])
def test_each_action_exists_and_is_allowed_on_its_resources(synthesized: Synthesized, role: str) -> None:
    statements = list(list_statements(synthesized(), role))
    sids = [one["Sid"] for one in statements]
    assert len(sids) == len(set(sids))
    for statement in statements:
        for action in statement["Action"]:
            templates = [re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(text)) for text in REFERENCE[action]["resources"]]
            for resource in statement["Resource"]:
                if resource == "*":
                    # A container instance is the resource of ListTasks, and Fargate has none.
                    assert not templates or action == "ecs:ListTasks", action
                else:
                    assert any(re.fullmatch(template, resource) for template in templates), (action, resource)


@BOTH
def test_a_plan_changes_nothing(synthesized: Synthesized) -> None:
    actions = {action for one in list_statements(synthesized(), "plan") for action in one["Action"]}
    assert {REFERENCE[action]["access"] for action in actions} == {"Read", "List"}
    assert "iam:PassRole" not in actions


def test_actions_on_what_has_no_name_require_the_tags_of_the_environment() -> None:
    tags = {"application": ["example"], "environment": ["test"]}
    for statement in list_statements(synthesize_example(), "deploy"):
        for resource in statement["Resource"]:
            writes = [action for action in statement["Action"] if REFERENCE[action]["access"] not in ("Read", "List")]
            if resource.endswith((":key/*", ":security-group/*")) and writes != ["kms:EnableKeyRotation"]:
                ((_, variables),) = statement["Condition"].items()
                assert variables in (
                    {f"aws:RequestTag/{key}": value for key, value in tags.items()},
                    {f"aws:ResourceTag/{key}": value for key, value in tags.items()},
                )


def test_the_deploy_role_stops_only_tasks_of_the_environment() -> None:
    (statement,) = (one for one in list_statements(synthesize_example(), "deploy") if "ecs:StopTask" in one["Action"])
    assert statement["Action"] == ["ecs:StopTask"]
    assert statement["Condition"] == {
        "ArnEquals": {"ecs:cluster": ["arn:aws:ecs:us-east-1:123456789012:cluster/example-test"]},
        "StringEquals": {"aws:ResourceTag/application": ["example"], "aws:ResourceTag/environment": ["test"]},
    }


def list_deploy_actions() -> set[str]:
    """Return the actions of environments with either kind of database, and with a permissions boundary."""
    environments = (synthesize_example(), synthesize_example("cluster-ABCDEFGHIJKLMNOP"), synthesize_limited())
    return {action for files in environments for one in list_statements(files, "deploy") for action in one["Action"]}


def test_nightferry_verify_is_allowed() -> None:
    groups = (*VERIFY_ACTIONS.values(), *AFTER_DEPLOY_ACTIONS.values())
    required = {action for group in groups for action in group}
    assert required - list_deploy_actions() == {"sts:GetCallerIdentity"}  # requires no permission


def test_the_commands_of_a_deployment_are_allowed() -> None:
    files = [
        *(
            path for path in (SOURCE / "aws" / "runs").glob("*.py") if path.name != "log_volume.py"
        ),  # of nightferry costs
        SOURCE / "aws" / "rollback.py",
        SOURCE / "aws" / "logs.py",
    ]
    verbs = "describe|filter|get|head|list|put|register|run|simulate|stop"
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    # Methods of clients, and names that are passed to get_paginator and getattr.
    operations = set(re.findall(rf'[."]((?:{verbs})_[a-z0-9_]+)["(]', text)) - {"get_paginator"}
    operations -= {"get_caller_identity"}  # requires no permission
    names = {"".join(map(str.capitalize, name.split("_"))) for name in operations}
    actions = list_deploy_actions()
    allowed = {action.partition(":")[2].lower() for action in actions}
    assert {"RunTask", "FilterLogEvents", "GetParameterHistory"} <= names
    assert {name for name in names if name.lower() not in allowed} == set()


@pytest.mark.parametrize("role", ["deploy", "plan"])
def test_the_policies_fit_into_the_limits_of_iam(role: str) -> None:
    catalog = full_catalog.make_catalog()
    for number in range(20):
        catalog.bucket(f"a-bucket-with-a-name-of-40-characters-{number:02}")
    environment = full_catalog.make_environment(catalog)
    policies = read_policies(synthesize(catalog, environment), role)
    assert 1 <= len(policies) <= MOST_POLICIES
    for policy in policies:
        # IAM counts no white space, and no name here contains any.
        assert len(re.sub(r"\s", "", json.dumps(policy))) <= LARGEST_POLICY
    for number in range(200):
        catalog.bucket(f"b-bucket-with-a-name-of-39-characters{number:03}")
    with pytest.raises(EnvironmentFileError, match="IAM's limit of 10 policies of 6144 characters"):
        synthesize(catalog, environment)


def test_a_role_with_a_shortened_name_is_covered() -> None:
    catalog = Catalog("a" * 40, image=Image("example"))
    catalog.task("a-task-with-a-long-name", command=["x"])
    text = example.ENVIRONMENT.replace('[settings]\nmode = "a ${literal} b"\n', "").replace("[aws.buckets.inbox]", "")
    text = re.sub('name = "org-test-inbox"\nnotifications = "ours"\n', "", text)
    environment = example.parse("e" * 16, text, catalog, Path("environments/e.toml"))
    files = synthesize(catalog, environment)
    folder = f"ecs-tasks/{'e' * 16}"
    policies = [json.loads(text) for name, text in files.items() if name.startswith(f"{folder}/deploy-role-policy-")]
    statements = [one for policy in policies for one in policy["Statement"]]
    roles = [one for one in expand(files, folder) if one.type == "aws_iam_role"]
    assert len(roles) == 2
    for role in roles:
        assert len(role.name) == 64
        assert allows(statements, "iam:CreateRole", f"arn:aws:iam::123456789012:role/{role.name}")
        assert allows(statements, "iam:PassRole", f"arn:aws:iam::123456789012:role/{role.name}")


def test_a_policy_that_is_no_longer_needed_is_removed(tmp_path: Path) -> None:
    write(synthesize_example() | {f"{FOLDER}/deploy-role-policy-3.json": "{}"}, tmp_path)
    write(synthesize_example(), tmp_path)
    written = sorted(path.name for path in (tmp_path / FOLDER).glob("*-role-policy-*.json"))
    assert written == ["deploy-role-policy-1.json", "deploy-role-policy-2.json", "plan-role-policy-1.json"]
