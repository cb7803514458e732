"""``nightferry redrive`` on AWS: a dead letter starts once, and is deleted only after its start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import boto3
import pytest

from nightferry.aws.executions.dead_letters import Queue, UnknownQueue
from nightferry.aws.executions.redrive import redrive
from nightferry.aws.executions.targets import NotStarted, Target
from nightferry.aws.session import Aws
from nightferry.backend.interface import CannotRedrive
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import UnknownName
from nightferry.lambdas import s3_trigger
from tests.lambdas.test_s3_trigger import record
from tests.lambdas.tokens import TokenServer, ecs_with_tokens
from tests.terraform.example import make_catalog, make_environment

ARN = "arn:aws:{}:us-east-1:123456789012:{}"
ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture(scope="module")
def server(aws_server: str) -> Iterator[TokenServer]:
    with ecs_with_tokens(aws_server) as server:
        yield server


class World:
    """An environment with its two queues, a task, a schedule, a rule, and the trigger's function."""

    def __init__(self, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
        catalog = make_catalog()
        self.resources = AwsResources(catalog, make_environment(catalog))
        self.aws = Aws("us-east-1", "123456789012")
        self.server = server
        server.overrides[:] = [self._lambda, self._redrive]
        self.redriven: list[dict[str, str]] = []
        subnets, group = server.network()
        self.network = {"Subnets": subnets[:1], "SecurityGroups": [group], "AssignPublicIp": "DISABLED"}
        self.urls = {
            kind: self.aws.sqs.create_queue(QueueName=f"example-test-{kind}-dead-letters")["QueueUrl"]
            for kind in ("triggers", "schedules")
        }
        self.aws.ecs.create_cluster(clusterName="example-test")
        for task in ("load", "report"):
            self.aws.ecs.register_task_definition(
                family=f"example-test-{task}",
                containerDefinitions=[{"name": task, "image": "example:1", "memory": 512}],
                requiresCompatibilities=["FARGATE"],
                networkMode="awsvpc",
                cpu="256",
                memory="512",
            )
        for variable, value in {
            "CLUSTER": "example-test",
            "TASK_DEFINITION": "example-test-load",
            "CONTAINER": "load",
            "SUBNETS": subnets[0],
            "SECURITY_GROUPS": group,
            "TRIGGER": "example-test-on-file",
        }.items():
            monkeypatch.setenv(variable, value)

    def ecs_parameters(self, task: str) -> dict[str, Any]:
        return {
            "TaskDefinitionArn": ARN.format("ecs", f"task-definition/example-test-{task}"),
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"awsvpcConfiguration": self.network},
        }

    def _lambda(self, path: str, body: bytes) -> tuple[int, bytes, str] | None:
        """Call the function's handler, because moto runs Lambda functions only in containers."""
        if not unquote(path).endswith("/functions/example-test-on-file-trigger/invocations"):
            return None
        try:
            response: Any = s3_trigger.handler(json.loads(body), None)
        except Exception as error:
            self.failed = True
            return 200, json.dumps({"errorMessage": str(error)}).encode(), "application/json"
        return 200, json.dumps(response).encode(), "application/json"

    def _redrive(self, _path: str, body: bytes) -> tuple[int, bytes, str] | None:
        """Respond to RedriveExecution, which moto does not support."""
        if body.startswith(b"{") and b"clientToken" in body and b"executionArn" in body:
            self.redriven.append(json.loads(body))
            return 200, b'{"redriveDate": 1}', "application/x-amz-json-1.0"
        return None

    def send(self, kind: str, body: Any, **attributes: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        values: Any = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self.aws.sqs.send_message(QueueUrl=self.urls[kind], MessageBody=text, MessageAttributes=values)

    def queue(self, kind: str) -> Queue:
        return Queue.find(self.resources, self.aws, kind)

    def started(self) -> list[dict[str, Any]]:
        arns = self.aws.ecs.list_tasks(cluster="example-test")["taskArns"]
        if not arns:
            return []
        found: Any = self.aws.ecs.describe_tasks(cluster="example-test", tasks=arns)["tasks"]
        return [task["overrides"] for task in found]

    def left(self, kind: str) -> int:
        found = self.aws.sqs.get_queue_attributes(QueueUrl=self.urls[kind], AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])


@pytest.fixture
def world(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> World:
    for variable, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(variable, value)
    s3_trigger._get_client.cache_clear()
    server.reset_moto()
    server.reset()
    return World(server, monkeypatch)


def lambda_message(function: str = "example-test-on-file-trigger") -> dict[str, Any]:
    """Return the message that Lambda writes after the last failed attempt."""
    return {
        "version": "1.0",
        "requestContext": {
            "functionArn": ARN.format("lambda", f"function:{function}:$LATEST"),
            "condition": "RetriesExhausted",
        },
        "requestPayload": {"Records": [record("in/a_1.csv", "v1")]},
        "responsePayload": {"errorMessage": "Capacity is unavailable at this time."},
    }


def test_a_repeated_trigger_event_starts_its_task_once(world: World) -> None:
    world.send("triggers", lambda_message())
    world.send("triggers", lambda_message())
    queue = world.queue("triggers")
    for letter in queue.receive():
        assert letter.source.startswith("function example-test-on-file-trigger for ")
        assert letter.source.endswith("/in/a_1.csv")
        assert letter.reason == "Capacity is unavailable at this time."
        letter.retry()
        queue.delete(letter)
    (overrides,) = world.started()
    assert {"name": "S3_KEY", "value": "in/a_1.csv"} in overrides["containerOverrides"][0]["environment"]
    assert world.left("triggers") == 0


def test_a_schedule_starts_its_current_target_with_the_original_input(world: World) -> None:
    scheduler = boto3.client("scheduler")
    scheduler.create_schedule_group(Name="example-test")
    scheduler.create_schedule(
        Name="example-test-hourly",
        GroupName="example-test",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": ARN.format("ecs", "cluster/example-test"),
            "RoleArn": ROLE,
            "EcsParameters": world.ecs_parameters("report"),  # type: ignore[typeddict-item]
        },
    )
    input = {"containerOverrides": [{"name": "report", "command": ["report", "--all"]}]}
    attributes = {
        "SCHEDULE_ARN": ARN.format("scheduler", "schedule/example-test/example-test-hourly"),
        "EXECUTION_ID": "e1",
        "ERROR_CODE": "AccessDeniedException",
        "SCHEDULED_TIME": "2026-11-25T01:00:00Z",
    }
    for _ in range(2):
        world.send("schedules", input, **attributes)
    letters = list(world.queue("schedules").receive())
    assert [letter.source for letter in letters] == ["schedule example-test-hourly of 2026-11-25T01:00:00Z"] * 2
    assert letters[0].reason == "AccessDeniedException"
    assert letters[0].retry() == letters[1].retry()
    (overrides,) = world.started()
    assert overrides["containerOverrides"][0]["command"] == ["report", "--all"]


def test_a_rule_starts_its_target_with_the_transformed_event(world: World) -> None:
    events = boto3.client("events")
    cluster = ARN.format("ecs", "cluster/example-test")
    events.put_rule(Name="example-test-on-table", EventPattern='{"source": ["aws.s3"]}')
    template = {"containerOverrides": [{"name": "load", "environment": [{"name": "S3_KEY", "value": "<key>"}]}]}
    events.put_targets(
        Rule="example-test-on-table",
        Targets=[
            {
                "Id": "load",
                "Arn": cluster,
                "RoleArn": ROLE,
                "EcsParameters": world.ecs_parameters("load"),  # type: ignore[typeddict-item]
                "InputTransformer": {
                    "InputPathsMap": {"key": "$.detail.object.key"},
                    "InputTemplate": json.dumps(template),
                },
            }
        ],
    )
    event = {"id": "1", "source": "aws.s3", "detail": {"object": {"key": 'in/b_"2".csv'}}}
    rule = ARN.format("events", "rule/example-test-on-table")
    world.send("triggers", event, RULE_ARN=rule, TARGET_ARN=cluster, ERROR_CODE="THROTTLING")
    (letter,) = world.queue("triggers").receive()
    assert letter.retry() == letter.retry()
    (overrides,) = world.started()
    assert overrides["containerOverrides"][0]["environment"] == [{"name": "S3_KEY", "value": 'in/b_"2".csv'}]


def test_a_failed_start_raises_and_a_retry_succeeds(world: World) -> None:
    world.server.responses.append((200, {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]}))
    target = Target(ARN.format("ecs", "cluster/example-test"), world.ecs_parameters("load"), "{}")
    from nightferry.aws.executions.targets import start

    with pytest.raises(NotStarted, match="RESOURCE:ENI"):
        start(world.aws, target, "t" * 64)
    assert len(start(world.aws, target, "u" * 64)) >= 32


@pytest.mark.parametrize(
    ("body", "attributes", "message"),
    [
        ("not JSON", {}, "unknown format"),
        ("{}", {}, "unknown format"),
        (lambda_message("another-owner"), {}, "does not belong to example-test"),
        ({}, {"RULE_ARN": ARN.format("events", "rule/another-owner")}, "does not belong to example-test"),
        ({}, {"SCHEDULE_ARN": ARN.format("scheduler", "schedule/other/x")}, "does not belong to example-test"),
        ({}, {"RULE_ARN": ARN.format("events", "rule/example-test-gone")}, "no longer exists"),
    ],
)
def test_unknown_and_foreign_messages_start_nothing(
    world: World, body: Any, attributes: dict[str, str], message: str
) -> None:
    world.send("triggers", body, **attributes)
    (letter,) = world.queue("triggers").receive()
    with pytest.raises(NotStarted, match=message):
        letter.retry()
    assert world.started() == []
    assert world.left("triggers") == 1


def test_many_letters_are_received_once_and_returned(world: World) -> None:
    for n in range(23):
        world.send("triggers", {"n": n})
    queue = world.queue("example-test-triggers-dead-letters")
    letters = list(queue.receive())
    assert len({letter.id for letter in letters}) == 23 == len(letters)
    for letter in letters:
        queue.return_letter(letter)
    assert len(list(queue.receive())) == 23
    with pytest.raises(UnknownQueue, match="Available queues: triggers, schedules"):
        world.queue("other")


def test_a_repeated_redrive_has_the_same_token(world: World) -> None:
    machine = world.aws.stepfunctions.create_state_machine(
        name="example-test-nightly",
        definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
        roleArn=ROLE,
    )["stateMachineArn"]
    arn = world.aws.stepfunctions.start_execution(stateMachineArn=machine, name="one")["executionArn"]
    with pytest.raises(CannotRedrive, match="only failed executions"):
        redrive(world.resources, world.aws, "one", dry_run=False)
    world.aws.stepfunctions.stop_execution(executionArn=arn)
    assert redrive(world.resources, world.aws, "one", dry_run=True) == arn
    assert world.redriven == []
    for id in ("one", arn):
        assert redrive(world.resources, world.aws, id, dry_run=False) == arn
    assert world.redriven[0] == world.redriven[1]
    for id in ("nothing", ARN.format("states", "execution:another-owner:one")):
        with pytest.raises(UnknownName):
            redrive(world.resources, world.aws, id, dry_run=False)
