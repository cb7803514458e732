"""The retry of a failed task on AWS: one further attempt for each failure, whatever EventBridge repeats or delays."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from nightferry.aws.runs.repeats import _digest
from nightferry.aws.runs.runs import parse_run
from nightferry.contract import Naming
from nightferry.contract import is_worth_retrying as is_worth_retrying_here
from nightferry.lambdas import task_retry
from nightferry.lambdas.task_retry import NotStarted, UnknownEvent, handler
from tests.lambdas.tokens import TokenServer, ecs_with_tokens

pytestmark = pytest.mark.sampled(8)

ARN = "arn:aws:{}:us-east-1:123456789012:{}"
TASK = "0123456789abcdef0123456789abcdef"
FUNCTION = ARN.format("lambda", "function:example-test-retries")
STOPPED_AT = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
KEY = 'in/"quoted" <aws.scheduler.attempt-number> é'


def stopped(**changes: Any) -> dict[str, Any]:
    """Return an event of a failed task, as in ECS's guide, "Task state change events"."""
    environment = [
        {"name": "S3_KEY", "value": KEY},
        {"name": "NIGHTFERRY_START_ID", "value": "x"},
        *changes.pop("environment", []),
    ]
    container = {"name": "load", "command": ["sh", "-c", "exit 3"], "environment": environment}
    detail = {
        "clusterArn": ARN.format("ecs", "cluster/example-test"),
        "taskArn": ARN.format("ecs", f"task/example-test/{TASK}"),
        "taskDefinitionArn": ARN.format("ecs", "task-definition/example-test-load:7"),
        "group": "family:example-test-load",
        "startedBy": "chronos-schedule/nightly",
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "overrides": {
            "containerOverrides": [{"name": "aws-guardduty-agent-x"}, container],
            "cpu": "512",
            "memory": "1024",
        },
        "containers": [{"name": "aws-guardduty-agent-x", "exitCode": 0}, {"name": "load", "exitCode": 3}],
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "createdAt": "2026-11-29T02:00:00Z",
        "stoppedAt": "2026-11-29T03:00:00Z",
        "version": 5,
    }
    return {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail | changes}


@pytest.fixture(scope="module")
def server(aws_server: str) -> Iterator[TokenServer]:
    with ecs_with_tokens(aws_server) as server:
        yield server


class World:
    """The function with an emulated ECS, Scheduler and log of task state changes, at a time of its own."""

    def __init__(self, server: TokenServer) -> None:
        self.server = server
        self.now = STOPPED_AT
        self.slept: list[float] = []
        self.logs, self.scheduler = boto3.client("logs"), boto3.client("scheduler")
        self.scheduler.create_schedule_group(Name="example-test-retries")
        self.logs.create_log_group(logGroupName="events")
        self.logs.create_log_stream(logGroupName="events", logStreamName="events")

    def call(self, event: dict[str, Any]) -> str | None:
        context = SimpleNamespace(invoked_function_arn=FUNCTION)
        return handler(event, context, sleep=self.slept.append, now=lambda: self.now)["decision"]

    def schedules(self) -> list[dict[str, Any]]:
        found = self.scheduler.list_schedules(GroupName="example-test-retries")["Schedules"]
        return [self.scheduler.get_schedule(GroupName="example-test-retries", Name=one["Name"]) for one in found]

    def fire(self) -> str | None:
        """Invoke the function as the only schedule does, and delete the schedule."""
        [schedule] = self.schedules()
        self.now = datetime.strptime(schedule["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)
        self.scheduler.delete_schedule(GroupName="example-test-retries", Name=schedule["Name"])
        return self.call(json.loads(schedule["Target"]["Input"]))

    def log_started(self) -> None:
        """Write the events of the started tasks, as the deployment's rule does."""
        events = [
            {
                "timestamp": int(datetime.now(UTC).timestamp() * 1000),
                "message": json.dumps({"detail": {"taskArn": task["taskArn"], "startedBy": task["startedBy"]}}),
            }
            for task in self.server.started
        ]
        self.logs.put_log_events(logGroupName="events", logStreamName="events", logEvents=events)


@pytest.fixture
def world(server: TokenServer, aws_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    server.reset_moto()
    server.reset()
    subnets, group = server.network()
    for variable, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ENDPOINT_URL_ECS": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "CLUSTER": "example-test",
        "SUBNETS": ",".join(subnets[:2]),
        "SECURITY_GROUPS": group,
        "EVENT_LOG_GROUP": "events",
        "SCHEDULE_GROUP": "example-test-retries",
        "SCHEDULE_ROLE": "arn:aws:iam::123456789012:role/example-test-retries-schedule",
        "DEAD_LETTERS": ARN.format("sqs", "example-test-retries-dead-letters"),
    }.items():
        monkeypatch.setenv(variable, value)
    ecs = boto3.client("ecs")
    ecs.create_cluster(clusterName="example-test")
    ecs.register_task_definition(
        family="example-test-load",
        containerDefinitions=[{"name": "load", "image": "example:1", "memory": 512}],
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
    )
    retry = {"container": "load", "definition": ARN.format("ecs", "task-definition/example-test-load")}
    (tmp_path / "retries.json").write_text(
        json.dumps({"example-test-load": retry | {"attempts": 2, "interval": 600, "backoff": 3}})
    )
    monkeypatch.setattr(task_retry, "__file__", str(tmp_path / "task_retry.py"))
    for cached in (task_retry._read_retries, task_retry._get_client):
        cached.cache_clear()
    yield World(server)
    for cached in (task_retry._read_retries, task_retry._get_client):
        cached.cache_clear()


def test_a_failed_task_starts_again_with_the_same_inputs_after_its_delay(world: World) -> None:
    world.now += timedelta(seconds=9)
    assert world.call(stopped()) == "planned"
    [schedule] = world.schedules()
    assert schedule["ScheduleExpression"] == "at(2026-11-29T03:10:00)"
    assert "<" not in schedule["Target"]["Input"], "Scheduler would replace its keywords"
    assert world.server.requests == []
    assert world.fire() == "started"
    [request] = world.server.requests
    assert request["startedBy"] == f"retry/{TASK[:28]}"
    assert request["taskDefinition"].endswith("task-definition/example-test-load"), "the newest revision"
    [container] = request["overrides"]["containerOverrides"]
    assert container["command"] == ["sh", "-c", "exit 3"]
    assert {item["name"]: item["value"] for item in container["environment"]} == {
        "S3_KEY": KEY,
        "NIGHTFERRY_ATTEMPT": "2",
    }
    assert (request["overrides"]["cpu"], request["overrides"]["memory"]) == ("512", "1024")


def test_the_second_delay_is_longer_and_the_last_attempt_is_final(world: World) -> None:
    assert world.call(stopped(environment=[{"name": "NIGHTFERRY_ATTEMPT", "value": "2"}])) == "planned"
    assert world.schedules()[0]["ScheduleExpression"] == "at(2026-11-29T03:30:00)"
    last = stopped(environment=[{"name": "NIGHTFERRY_ATTEMPT", "value": "3"}], taskArn="task/other")
    assert world.call(last) == "left alone"


@pytest.mark.parametrize("order", list(itertools.product(["event", "fire"], repeat=3)))
def test_repeated_events_start_one_attempt(world: World, order: tuple[str, ...]) -> None:
    """Deliver the event again before, between and after the invocations by the schedule."""
    world.call(stopped())
    planned = json.loads(world.schedules()[0]["Target"]["Input"])
    for step in order:
        if step == "event":
            assert world.call(stopped()) in ("planned before", "started before", "started")
        else:
            world.now = max(world.now, STOPPED_AT + timedelta(seconds=600))
            world.scheduler.delete_schedule(GroupName="example-test-retries", Name=TASK) if world.schedules() else None
            assert world.call(planned) in ("started", "started before")
    assert len(world.server.started) == min(1, order.count("fire"))


def test_a_late_event_starts_the_attempt_now_and_once(world: World) -> None:
    world.now += timedelta(hours=7)
    assert world.call(stopped()) == "started"
    assert world.call(stopped()) == "started", "ECS returns the first response"
    world.log_started()
    world.server.forget_tokens()
    assert world.call(stopped()) == "started before"
    assert (len(world.server.started), world.schedules(), world.slept) == (1, [], [])


def test_a_short_delay_is_waited_for(world: World) -> None:
    world.now += timedelta(seconds=560)
    assert world.call(stopped()) == "started"
    assert world.slept == [40]


def test_a_redrive_before_the_attempt_is_its_only_repeat(world: World) -> None:
    world.call(stopped())
    subnets, group = world.server.network()
    network = {"subnets": subnets[:1], "securityGroups": [group]}
    boto3.client("ecs", endpoint_url=world.server.url).run_task(
        cluster="example-test",
        taskDefinition="example-test-load",
        launchType="FARGATE",
        startedBy=f"rerun/{TASK[:28]}",
        networkConfiguration={"awsvpcConfiguration": network},
        clientToken=_digest(TASK),
    )
    assert world.fire() == "started before"
    world.log_started()
    world.server.forget_tokens()
    assert world.call(stopped()) == "started before"
    assert len(world.server.started) == 1


def test_a_start_without_capacity_is_an_error_and_can_be_repeated(world: World) -> None:
    world.now += timedelta(hours=1)
    world.server.responses[:] = [(200, {"tasks": [], "failures": [{"reason": "Capacity is unavailable"}]})] * 2
    with pytest.raises(NotStarted, match="example-test-load: Capacity is unavailable"):
        world.call(stopped())
    world.now += timedelta(minutes=1)  # Lambda's next attempt
    assert world.call(stopped()) == "started"


@pytest.mark.parametrize(
    "changes",
    [
        {"startedBy": "AWS Step Functions"},
        {"environment": [{"name": "SFN_EXECUTION_ID", "value": "arn"}]},
        {"lastStatus": "RUNNING"},
        {"taskDefinitionArn": ARN.format("ecs", "task-definition/example-test-load-more:7")},
        {"stopCode": "UserInitiated"},
        {"containers": [{"name": "load", "exitCode": 0}]},
        {"containers": [{"name": "load", "exitCode": 2}]},
        {"containers": [{"name": "load", "exitCode": 143}]},
    ],
)
def test_other_ends_and_steps_of_workflows_are_left_alone(world: World, changes: dict[str, Any]) -> None:
    assert world.call(stopped(**changes)) == "left alone"


def test_another_event_is_an_error(world: World) -> None:
    for event in ({}, {"detail-type": "ECS Task State Change"}, {"source": "aws.s3", "detail": {}}):
        with pytest.raises(UnknownEvent):
            world.call(event)


@pytest.mark.parametrize("code", [None, 0, 1, 2, 124, 137, 143])
@pytest.mark.parametrize(
    "stop", ["EssentialContainerExited", "UserInitiated", "TaskFailedToStart", "TerminationNotice"]
)
@pytest.mark.parametrize("reason", ["", "OutOfMemoryError: Container killed due to memory usage"])
def test_both_places_judge_an_end_alike(code: int | None, stop: str, reason: str) -> None:
    container = {"name": "load", "reason": reason} | ({} if code is None else {"exitCode": code})
    detail = stopped(stopCode=stop, containers=[container])["detail"]
    run = parse_run(detail, Naming("example", "test"), "group")
    assert run is not None
    assert task_retry.read_exit_code(detail, "load") == run.exit_code
    assert task_retry.is_worth_retrying(run.exit_code, stop) == is_worth_retrying_here(run.exit_code, run.stop_code)


@pytest.mark.usefixtures("world")
def test_the_roles_and_files_that_a_person_chose_are_not_repeated() -> None:
    event = stopped()
    overrides = event["detail"]["overrides"]
    overrides |= {"taskRoleArn": "arn:aws:iam::123456789012:role/other", "executionRoleArn": "x"}
    overrides["containerOverrides"][1]["environmentFiles"] = [{"type": "s3", "value": "arn:aws:s3:::x/y"}]
    planned = task_retry._plan(event["detail"])
    assert planned is not None
    assert planned["overrides"].keys() == {"containerOverrides", "cpu", "memory"}
    assert planned["overrides"]["containerOverrides"][0].keys() == {"name", "command", "environment"}
