"""A backfill with only the permissions that docs/operators.md lists for it. IAM is enforced."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.backend.queries import RunFilter
from nightferry.catalog.declarations import Schedule
from nightferry.contract import format_scheduled_time
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.testing.aws_provider.deployment import Deployment
from nightferry.testing.iam.account import EnforcedAccount
from tests.aws.project import make_aws_project

MORE = """
for via in ("scheduler", "rule"):
    catalog.schedule(f"hello-{via}", hello, "cron(0 5 * * ? *)", via=via)
catalog.schedule("greets", catalog.workflow("greet", RunTask(hello)), "cron(0 6 * * ? *)")
"""
ACCOUNT = "us-east-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/operator"
CLUSTER = f"arn:aws:ecs:{ACCOUNT}:cluster/toy-test"
STATES = ("StartExecution", "ListExecutions", "DescribeExecution", "GetExecutionHistory", "StopExecution")


def allow(sid: str, actions: list[str], *resources: str, **condition: object) -> dict[str, object]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": list(resources)}
    return {**statement, "Condition": condition} if condition else statement


STATEMENTS = [
    allow("Network", ["ssm:GetParameter"], f"arn:aws:ssm:{ACCOUNT}:parameter/service/toy/test/ecs-tasks/network"),
    allow(
        "RunTask", ["ecs:RunTask"], f"arn:aws:ecs:{ACCOUNT}:task-definition/toy-test-*",
        ArnEquals={"ecs:cluster": CLUSTER},
    ),
    allow(
        "PassRole", ["iam:PassRole"], "arn:aws:iam::123456789012:role/toy-test-*",
        StringEquals={"iam:PassedToService": "ecs-tasks.amazonaws.com"},
    ),
    allow("TagTask", ["ecs:TagResource"], f"arn:aws:ecs:{ACCOUNT}:task/toy-test/*"),
    allow("DescribeTasks", ["ecs:DescribeTasks"], f"arn:aws:ecs:{ACCOUNT}:task/toy-test/*"),
    allow("ListTasks", ["ecs:ListTasks"], "*", ArnEquals={"ecs:cluster": CLUSTER}),
    allow("ReadLogs", ["logs:FilterLogEvents"], f"arn:aws:logs:{ACCOUNT}:log-group:service/toy-test/*"),
    allow("ReadSchedule", ["scheduler:GetSchedule"], f"arn:aws:scheduler:{ACCOUNT}:schedule/toy-test/*"),
    allow("ReadRule", ["events:ListTargetsByRule"], f"arn:aws:events:{ACCOUNT}:rule/toy-test-*"),
    allow(
        "Workflows", [f"states:{name}" for name in STATES],
        f"arn:aws:states:{ACCOUNT}:stateMachine:toy-test-*", f"arn:aws:states:{ACCOUNT}:execution:toy-test-*",
    ),
]  # fmt: skip
NEEDED_BY = {"ReadSchedule": "hello-scheduler", "ReadRule": "hello-rule", "Workflows": "greets"}


def find_time(account: EnforcedAccount, run: str) -> str:
    """Return the variable SCHEDULED_AT of a task that was started."""
    (task,) = [task for task in account.started_tasks() if task["taskArn"].endswith(f"/{run}")]
    (container,) = task["overrides"]["containerOverrides"]
    return str({item["name"]: item["value"] for item in container["environment"]}["SCHEDULED_AT"])


@pytest.mark.long
def test_a_backfill_needs_only_the_documented_permissions(
    emulated_aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_aws_project(tmp_path / "toy")
    (module,) = root.glob("toy_*.py")
    module.write_text(module.read_text() + MORE)
    project = Project.find(root)
    Deployment(project.catalog, project.environment("test"), tmp_path / "infra").apply("first")
    account = EnforcedAccount(emulated_aws, "us-east-1")
    iam = account.administer("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="operator", AssumeRolePolicyDocument=document)
    policy = json.dumps({"Version": "2012-10-17", "Statement": STATEMENTS})
    iam.put_role_policy(RoleName="operator", PolicyName="run", PolicyDocument=policy)
    variables = account.variables(ROLE)
    account.enforce()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    today = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0)
    schedules = project.catalog.schedules

    def backfill(name: str, days: int) -> None:
        backend = AwsBackend(project, project.environment("test"))
        schedule: Schedule = schedules[name]
        time = today - timedelta(days=days)
        assert backend.find_scheduled(schedule, [time]) == {}
        id = backend.start_scheduled(schedule, time)
        assert id is not None
        if schedule.kind == "workflow":
            assert backend.execution(id).input["schedule"] == name
            backend.state_history(id)
        else:
            assert find_time(account, id) == format_scheduled_time(time)
            backend.runs(RunFilter(task=schedule.target))
            list(backend.log_reader(time).new([]))

    for name in schedules:
        backfill(name, 1)
    assert [call["call"] for call in account.calls() if not call["allowed"]] == []
    for number, statement in enumerate(STATEMENTS):
        sid = str(statement["Sid"])
        if sid == "DescribeTasks":  # for the end of a run, which the server's tasks do not reach
            continue
        with account.without(ROLE, sid):
            refused = _find_error(lambda number=number, sid=sid: backfill(NEEDED_BY.get(sid, "hello-rule"), number + 2))
        assert refused is not None, f"{sid} is not needed"


def _find_error(action: Callable[[], object]) -> NightferryError | None:
    try:
        action()
    except NightferryError as error:
        return error
    return None
