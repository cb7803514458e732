"""The roles allow exactly the AWS calls of the code, which the tests find in its syntax trees."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret
from nightferry.errors import EnvironmentFileError
from nightferry.states.builder import RunTask, Steps
from nightferry.terraform import synthesize
from nightferry.terraform.reading.inventory import build_inventory
from tests.terraform.example import ENVIRONMENT, JobSettings, make_catalog, make_environment

SOURCE = Path(__file__).parents[2] / "src" / "nightferry"

# Calls of boto3 clients, with their actions in AWS's service authorization reference.
ACTIONS = {
    "get_object": {"s3:GetObject"},
    "head_object": {"s3:GetObject"},
    "list_objects_v2": {"s3:ListBucket"},
    "put_object": {"s3:PutObject"},
    "create_multipart_upload": {"s3:PutObject"},
    "upload_part": {"s3:PutObject"},
    "complete_multipart_upload": {"s3:PutObject"},
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
    # Of an object with tags:
    "copy_object": {"s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging"},
    "copy": {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"},
    "delete_object": {"s3:DeleteObject"},
    "get_parameter": {"ssm:GetParameter"},
    "assume_role": {"sts:AssumeRole"},
    "generate_db_auth_token": {"rds-db:connect"},
    "filter_log_events": {"logs:FilterLogEvents"},
    "start_execution": {"states:StartExecution"},
    # With propagateTags and roles in the task definition:
    "run_task": {"ecs:RunTask", "ecs:TagResource", "iam:PassRole"},
}


def find_calls(*files: Path) -> set[str]:
    """Return the operations called on objects that are named like a client, and those of paginators."""
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                on = ast.unparse(node.func.value)
                if node.func.attr == "get_paginator":
                    assert isinstance(node.args[0], ast.Constant)
                    found.add(str(node.args[0].value))
                elif on == "ecs" or on.endswith("client") or ".client(" in on:
                    found.add(node.func.attr)
    return found


def required_actions(*files: Path) -> set[str]:
    operations = find_calls(*files)
    assert operations <= ACTIONS.keys(), "a call without a known action: add it to ACTIONS and to a role"
    return set().union(*(ACTIONS[operation] for operation in operations))


def allowed_actions(document: Any) -> set[str]:
    blocks = [*document.get("statement", []), *(b["content"] for b in document.get("dynamic", {}).get("statement", []))]
    return {action for block in blocks for action in block["actions"]}


def task_policy(name: str) -> list[Any]:
    """Return the statements of a task role."""
    catalog = make_catalog()
    inbox = catalog.buckets["inbox"]
    catalog.task(
        "store", command=["store"], config=JobSettings, env={"FOLDER_PATH": "x"}, grants=[inbox.read_write("in/*")]
    )
    catalog.task("put", command=["put"], config=JobSettings, env={"FOLDER_PATH": "x"}, grants=[inbox.write("in/*")])
    catalog.task("get", command=["get"], config=JobSettings, env={"FOLDER_PATH": "x"}, grants=[inbox.read("in/*")])
    return role_statements(catalog, name)


def role_statements(catalog: Catalog, name: str) -> list[Any]:
    """Return the statements of the role ``name``, given without the prefix."""
    statements = build_inventory(synthesize(catalog, make_environment(catalog)), "test").roles[f"example-test-{name}"]
    return list(statements["statements"])


def granted_actions(statements: list[Any]) -> set[str]:
    return {action for statement in statements for action in statement["Action"]}


STORAGE = sorted((SOURCE / "storage").glob("*.py"))
LOGIN = {"rds-db:connect"}


def test_the_calls_are_found() -> None:
    assert {"list_objects_v2", "get_object", "copy_object", "upload_part"} <= find_calls(*STORAGE)
    assert find_calls(SOURCE / "credentials.py") == {"get_parameter", "generate_db_auth_token", "assume_role"}
    assert find_calls(SOURCE / "lambdas" / "s3_trigger.py") == {
        "run_task",
        "start_execution",
        "filter_log_events",
    }


def test_reading_and_writing_a_bucket_allows_the_calls_of_storage() -> None:
    assert granted_actions(task_policy("store")) - LOGIN == required_actions(*STORAGE)


@pytest.mark.parametrize(
    ("task", "actions"),
    [
        ("get", {"s3:GetObject", "s3:GetObjectTagging", "s3:ListBucket"}),
        ("put", {"s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"}),
    ],
)
def test_a_grant_of_one_access_allows_only_its_actions(task: str, actions: set[str]) -> None:
    assert granted_actions(task_policy(task)) - LOGIN == actions


def test_the_calls_of_credentials_can_be_granted() -> None:
    catalog = make_catalog()
    vendor = catalog.roles["vendor"]
    catalog.task(
        "all",
        command=["all"],
        config=JobSettings,
        env={"FOLDER_PATH": "x", "KEY_SSM_PATH": "/service/example/test/key"},
        grants=[vendor.assume()],
    )
    statements = role_statements(catalog, "all")
    assert granted_actions(statements) == required_actions(SOURCE / "credentials.py")
    (read,) = [statement for statement in statements if statement["Action"] == ["ssm:GetParameter"]]
    assert read["Resource"] == ["arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test/key"]


def test_a_task_that_reads_a_parameter_may_decrypt_it() -> None:
    catalog = make_catalog()
    env = {"FOLDER_PATH": "x", "KEY_SSM_PATH": "/service/example/test/key"}
    catalog.task("all", command=["all"], config=JobSettings, env=env)
    key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    environment = make_environment(catalog, ENVIRONMENT.replace("[aws]", f'[aws]\nparameters_key = "{key}"'))
    statements = build_inventory(synthesize(catalog, environment), "test").roles["example-test-all"]["statements"]
    (decrypt,) = [one for one in statements if one["Action"] == ["kms:Decrypt"]]
    assert decrypt["Resource"] == [key]
    parameter = "arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test/key"
    assert decrypt["Condition"] == {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": [parameter]}}


class TwoUsers(JobSettings):
    """The settings of a job that logs in as two users, whose variables have names of their own."""

    readers_name: str = "reader"
    readers_password: SecretStr | None = None
    database_logins: ClassVar = {"db_username": "db_password", "readers_name": "readers_password"}


@pytest.mark.parametrize(
    ("env", "secrets", "users"),
    [
        ({}, {}, ["jobs", "reader"]),
        ({"DB_USERNAME": "one", "READERS_NAME": "another"}, {}, ["another", "one"]),
        ({"DB_USERNAME": "${setting:owner}"}, {}, ["pfml", "reader"]),
        ({"DB_NOTE_USERNAME": "nobody"}, {}, ["jobs", "reader"]),
        # A user with a password needs no token.
        ({}, {"DB_PASSWORD": Secret("password")}, ["reader"]),
        ({"READERS_PASSWORD_SSM_PATH": "/password"}, {}, ["jobs"]),
        ({}, {"DB_PASSWORD": Secret("password"), "READERS_PASSWORD": Secret("other")}, []),
        ({}, {"DB_PASSWORD": Secret("missing", optional=True)}, ["jobs", "reader"]),
    ],
)
def test_a_task_may_log_in_with_a_token_as_exactly_its_users_without_a_password(
    env: dict[str, str], secrets: dict[str, Secret], users: list[str]
) -> None:
    catalog = make_catalog()
    catalog.setting("owner", default="pfml")
    config = type("Settings", (TwoUsers,), {"model_config": {"extra": "allow"}})
    catalog.task("ask", command=["ask"], config=config, env={"FOLDER_PATH": "x", **env}, secrets=secrets)
    found = [one["Resource"] for one in role_statements(catalog, "ask") if one["Action"] == ["rds-db:connect"]]
    prefix = "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ABCDEFGHIJKLMNOP"
    assert found == ([[f"{prefix}/{user}" for user in users]] if users else [])


def test_all_tasks_that_cannot_log_in_are_reported_at_once() -> None:
    catalog = make_catalog()
    catalog.task("ask", command=["ask"], config=TwoUsers, env={"FOLDER_PATH": "x"})
    password = {"DB_PASSWORD": Secret("password")}
    catalog.task("tell", command=["tell"], config=JobSettings, env={"FOLDER_PATH": "x"}, secrets=password)
    text = ENVIRONMENT.replace('database_resource_id = "db-ABCDEFGHIJKLMNOP"\n', "")
    with pytest.raises(EnvironmentFileError) as refused:
        synthesize(catalog, make_environment(catalog, text))
    assert str(refused.value) == (
        "environments/test.toml:7: tasks cannot log in to the database: load as jobs, report as jobs, ask as jobs and "
        "reader. The environment has neither their passwords nor a database for IAM tokens. Set "
        "aws.database_resource_id, or create the secrets of the passwords and list them in aws.secrets."
    )


@pytest.mark.parametrize(
    ("module", "handler"), [("s3_ecs_trigger", "s3_trigger"), ("newrelic_forwarder", "newrelic_forwarder")]
)
def test_the_role_of_a_function_allows_the_calls_of_its_handler(module: str, handler: str) -> None:
    text = (SOURCE / "terraform" / "modules" / module / "main.tf.json").read_text(encoding="utf-8")
    policy = json.loads(text)["data"]["aws_iam_policy_document"]["this"]
    # The role also allows the calls that Lambda makes with it, and the decryption of a parameter with a customer key.
    by_lambda = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
    own = required_actions(SOURCE / "lambdas" / f"{handler}.py")
    assert allowed_actions(policy) - {"kms:Decrypt"} == own | by_lambda


def test_a_task_lists_only_its_prefixes() -> None:
    """With IfExists, a request without a prefix would list the whole bucket."""
    (listing,) = [statement for statement in task_policy("store") if statement["Action"] == ["s3:ListBucket"]]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["in/*"]}}


def test_a_workflow_may_call_only_what_its_definition_names() -> None:
    catalog = make_catalog()
    send = "arn:aws:states:::sqs:sendMessage"
    queue = "arn:aws:sqs:us-east-1:123456789012:queue"
    catalog.function("score", local="jobs:score", arn=catalog.setting("score", default="arn:aws:lambda:x:1:function:s"))
    catalog.resource(send, local="jobs:send", actions=["sqs:SendMessage"], resources=[queue])
    child = {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}
    catalog.workflow("child", child)
    states = {
        "A": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": "${workflow:child}"},
            "Next": "B",
        },
        "B": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${function:score}"},
            "Next": "C",
        },
        "C": {"Type": "Task", "Resource": send, "End": True},
    }
    catalog.workflow("parent", {"StartAt": "A", "States": states})

    files = synthesize(catalog, make_environment(catalog))

    policies = json.loads(files["ecs-tasks/test/iam.tf.json"])["data"]["aws_iam_policy_document"]
    parent = {
        action for action in allowed_actions(policies["workflow_parent"]) if action.split(":")[0] in CALLED_SERVICES
    }
    assert parent == {
        "lambda:InvokeFunction",
        "sqs:SendMessage",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
    }
    assert not any(action.split(":")[0] in CALLED_SERVICES for action in allowed_actions(policies["workflow_child"]))
    machine = json.loads(files["ecs-tasks/test/workflows.tf.json"])["locals"]["parent_variables"]
    assert machine == {"workflow_child": "${aws_sfn_state_machine.child.arn}"}
    assert "arn:aws:lambda:x:1:function:s" in files["ecs-tasks/test/workflows/parent.asl.json"]


def test_a_workflow_that_starts_a_task_twice_may_start_it_once_in_any_order() -> None:
    def make(*names: str) -> list[Any]:
        catalog = make_catalog()
        tasks = [RunTask(catalog.tasks[name], name=f"{name} {number}") for number, name in enumerate(names)]
        catalog.workflow("both", Steps(*tasks))
        return role_statements(catalog, "both-workflow")

    statements = make("load", "report", "load")
    for statement in statements:
        assert len(statement["Resource"]) == len(set(statement["Resource"])), statement["Sid"]
    assert make("report", "load") == statements


def test_a_workflow_without_tasks_has_no_statement_without_a_resource() -> None:
    catalog = make_catalog()
    catalog.workflow("empty", {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}})
    statements = role_statements(catalog, "empty-workflow")
    assert [one["Sid"] for one in statements] == ["LogDeliveryAndTracing"]


def test_the_id_of_a_resources_statement_does_not_depend_on_other_resources() -> None:
    def make(*resources: str) -> list[str]:
        catalog = make_catalog()
        for resource in resources:
            catalog.resource(resource, local="jobs:send", actions=["sqs:SendMessage"], resources=["*"])
        states = {"A": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True}}
        catalog.workflow("send", {"StartAt": "A", "States": states})
        return [one["Sid"] for one in role_statements(catalog, "send-workflow")]

    send, put = "arn:aws:states:::sqs:sendMessage", "arn:aws:states:::events:putEvents"
    assert make(send) == make(put, send)
    assert "UseSqsSendmessage" in make(send)


CALLED_SERVICES = ("lambda", "sqs", "states")
