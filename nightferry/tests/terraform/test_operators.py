"""The policies of people who start tasks, enforced by an emulated AWS: the listed families, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nightferry.errors import EnvironmentFileError
from nightferry.terraform import synthesize
from nightferry.testing.iam.account import EnforcedAccount, Failed
from tests.terraform.example import ENVIRONMENT, make_catalog, make_environment

OPERATORS = """
[aws.operators.clerks]
tasks = ["report"]

[aws.operators.on-call]
tasks = ["load", "report"]
workflows = ["nightly"]
"""
ROLE = "arn:aws:iam::123456789012:role"
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-0123456789abcdef0"], "securityGroups": ["sg-1"]}}


def make_policies(operators: str = OPERATORS) -> dict[str, dict[str, Any]]:
    """Return the policy of each group."""
    catalog = make_catalog()
    files = synthesize(catalog, make_environment(catalog, ENVIRONMENT + operators))
    return {
        name.partition("operators-")[2].removesuffix("-role-policy-1.json"): json.loads(text)
        for name, text in files.items()
        if "/operators-" in name
    }


@pytest.fixture
def account(emulated_aws: str) -> Iterator[EnforcedAccount]:
    """Return an account with the task definitions of the example, of another application, and the groups' roles."""
    account = EnforcedAccount(emulated_aws, "us-east-1")
    iam, ecs = account.administer("iam"), account.administer("ecs")
    for group, policy in make_policies().items():
        iam.create_role(RoleName=group, AssumeRolePolicyDocument="{}")
        iam.put_role_policy(RoleName=group, PolicyName="start", PolicyDocument=json.dumps(policy))
    for cluster in ("example-test", "other"):
        ecs.create_cluster(clusterName=cluster)
    for family in ("example-test-load", "example-test-report", "example-prod-report", "other-test-report"):
        ecs.register_task_definition(
            family=family,
            containerDefinitions=[{"name": "main", "image": "image", "memory": 512}],
            taskRoleArn=f"{ROLE}/{family}",
            executionRoleArn=f"{ROLE}/{family}-execution",
            networkMode="awsvpc",
        )
    account.enforce()
    yield account
    account.enforce(False)


def run(account: EnforcedAccount, group: str, family: str, **more: Any) -> dict[str, Any]:
    """Start a task as run-ecs-task does, with the role of a group. Raises Failed."""
    request = {
        "cluster": "example-test",
        "launchType": "FARGATE",
        "propagateTags": "TASK_DEFINITION",
        "networkConfiguration": NETWORK,
        **more,
    }
    ecs = account.client(f"{ROLE}/{group}", "ecs")
    response: dict[str, Any] = account.call(ecs.run_task, taskDefinition=family, **request)
    return response


def test_a_group_starts_its_own_families_only(account: EnforcedAccount) -> None:
    for group, families in (("clerks", ("report",)), ("on-call", ("load", "report"))):
        for task in ("load", "report"):
            if task in families:
                run(account, group, f"example-test-{task}")
            else:
                with pytest.raises(Failed, match="AccessDenied"):
                    run(account, group, f"example-test-{task}")
        for other in ("example-prod-report", "other-test-report"):
            with pytest.raises(Failed, match="AccessDenied"):
                run(account, group, other)


@pytest.mark.parametrize(
    "change",
    [
        {"cluster": "other"},
        {"overrides": {"taskRoleArn": f"{ROLE}/example-test-load"}},
        {"overrides": {"executionRoleArn": f"{ROLE}/example-test-load-execution"}},
        {"overrides": {"taskRoleArn": f"{ROLE}/administrator"}},
        {"enableExecuteCommand": True},
    ],
    ids=str,
)
def test_a_group_cannot_use_other_roles_clusters_or_shells(account: EnforcedAccount, change: dict[str, Any]) -> None:
    with pytest.raises(Failed, match="AccessDenied"):
        run(account, "clerks", "example-test-report", **change)


def test_a_group_reads_no_secret_and_changes_no_definition(account: EnforcedAccount) -> None:
    ssm = account.client(f"{ROLE}/clerks", "ssm")
    with pytest.raises(Failed, match="AccessDenied"):
        account.call(ssm.get_parameter, Name="/service/example/test/load/key", WithDecryption=True)
    allowed = {action for one in make_policies()["clerks"]["Statement"] for action in one["Action"]}
    assert allowed == {
        "ecs:DescribeTasks", "ecs:ListTasks", "ecs:RunTask", "ecs:StopTask", "ecs:TagResource", "iam:PassRole",
        "logs:FilterLogEvents", "ssm:GetParameter", "states:DescribeExecution",
        "states:DescribeStateMachineForExecution", "states:GetExecutionHistory", "states:ListExecutions",
    }  # fmt: skip


def test_nobody_may_start_anything_without_a_table() -> None:
    assert make_policies("") == {}
    (empty,) = make_policies("[aws.operators.readers]\n").values()
    assert {one["Sid"] for one in empty["Statement"]} == {
        "ReadPlacement", "DescribeTasks", "ListTasks", "ReadLogs", "ReadExecutions"
    }  # fmt: skip


def test_a_group_starts_and_stops_its_workflows_only() -> None:
    policies = make_policies()
    for action in ("StartExecution", "RedriveExecution", "StopExecution"):
        assert f"states:{action}" not in json.dumps(policies["clerks"])
    statements = {one["Sid"]: one for one in policies["on-call"]["Statement"]}
    states = "arn:aws:states:us-east-1:123456789012"
    assert statements["StartWorkflows"]["Resource"] == [f"{states}:stateMachine:example-test-nightly"]
    assert statements["RedriveAndStopWorkflows"]["Resource"] == [f"{states}:execution:example-test-nightly:*"]
    stop = statements["StopTasks"]["Condition"]["StringEquals"]
    assert stop == {
        "aws:ResourceTag/application": ["example"],
        "aws:ResourceTag/environment": ["test"],
        "aws:ResourceTag/task": ["load", "report"],
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            '[aws.operators.x]\ntasks = ["lod"]\n',
            "declares no task 'lod'. Did you mean 'load'?",
        ),
        ('[aws.operators.x]\nworkflows = ["load"]\n', "the catalog declares no workflow 'load'."),
        ('[aws.operators.x]\ntask = ["load"]\n', "unknown key 'aws.operators.x.task'"),
        ("[aws.operators.X]\n", "X"),
    ],
)
def test_a_mistake_in_the_table_is_reported_with_its_line(table: str, message: str) -> None:
    with pytest.raises(EnvironmentFileError) as refused:
        make_policies(table)
    assert message in str(refused.value)
    assert str(refused.value).startswith("environments/test.toml:")
