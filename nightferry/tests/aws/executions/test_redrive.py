"""``nightferry redrive`` on AWS: a dead letter starts once, and is deleted only after its start."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import boto3
import pytest

from nightferry.aws.executions.dead_letters import DeadLetter, Queue, UnknownQueue
from nightferry.aws.executions.redrive import redrive
from nightferry.aws.executions.targets import NotStarted
from nightferry.aws.session import Aws
from nightferry.backend.errors import CannotRedrive, Refused
from nightferry.environments.aws_resources import AwsResources
from nightferry.errors import UnknownName
from nightferry.lambdas import s3_trigger
from nightferry.states.builder import Retry
from nightferry.testing import FakeClock
from tests.lambdas.test_s3_trigger import object_created, record
from tests.lambdas.tokens import TokenServer, ecs_with_tokens
from tests.terraform.example import make_catalog, make_environment

pytestmark = pytest.mark.sampled(8)

ARN = "arn:aws:{}:us-east-1:123456789012:{}"
CLUSTER = ARN.format("ecs", "cluster/example-test")
ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture(scope="module")
def server(aws_server: str) -> Iterator[TokenServer]:
    with ecs_with_tokens(aws_server) as server:
        yield server


class World:
    """An environment with its two queues, a task, a schedule, a rule, and the trigger's function."""

    def __init__(self, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
        catalog = make_catalog()
        catalog.tasks["load"] = replace(catalog.tasks["load"], retry=Retry())
        self.resources = AwsResources(catalog, make_environment(catalog))
        self.aws = Aws("us-east-1", "123456789012")
        self.server = server
        self.clock = FakeClock(datetime.now(UTC))
        server.overrides[:] = [self._lambda, self._redrive]
        self.redriven: list[dict[str, str]] = []
        self.retried: list[dict[str, Any]] = []
        self.notified: list[dict[str, Any]] = []
        subnets, group = server.network()
        self.network = {"Subnets": subnets[:1], "SecurityGroups": [group], "AssignPublicIp": "DISABLED"}
        self.urls = {
            kind: self.aws.sqs.create_queue(QueueName=f"example-test-{kind}-dead-letters")["QueueUrl"]
            for kind in ("triggers", "schedules", "retries", "failures-slack")
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
        if unquote(path).endswith("/functions/example-test-retries/invocations"):
            self.retried.append(json.loads(body))
            return 200, b"{}", "application/json"
        if unquote(path).endswith("/functions/example-test-failures-slack/invocations"):
            self.notified.append(json.loads(body))
            return 200, b"{}", "application/json"
        if not unquote(path).endswith("/functions/example-test-on-file-trigger/invocations"):
            return None
        try:
            response: Any = s3_trigger.handler(json.loads(body), None, now=self.clock.now, sleep=self.clock.sleep)
        except Exception as error:
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
        return Queue.find(self.resources, self.aws, kind, self.clock)

    def receive(self, kind: str) -> DeadLetter:
        """Receive the only letter, and return it to the queue for the next call."""
        queue = self.queue(kind)
        (letter,) = queue.receive()
        queue.return_letter(letter)
        return letter

    def create_schedule(self, target: dict[str, Any]) -> None:
        scheduler: Any = boto3.client("scheduler")
        scheduler.create_schedule_group(Name="example-test")
        scheduler.create_schedule(
            Name="example-test-hourly",
            GroupName="example-test",
            ScheduleExpression="rate(1 hour)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"RoleArn": ROLE, **target},
        )

    def schedule_task(self) -> None:
        self.create_schedule({"Arn": CLUSTER, "EcsParameters": self.ecs_parameters("report")})

    def schedule_workflow(self) -> str:
        definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
        arn: str = self.aws.stepfunctions.create_state_machine(
            name="example-test-nightly", definition=definition, roleArn=ROLE
        )["stateMachineArn"]
        self.create_schedule({"Arn": arn})
        return arn

    def started_commands(self) -> list[Any]:
        return [overrides["containerOverrides"][0].get("command") for overrides in self.started()]

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


TIME = "2026-11-25T01:00:00Z"
SCHEDULED = {
    "SCHEDULE_ARN": ARN.format("scheduler", "schedule/example-test/example-test-hourly"),
    "ERROR_CODE": "AccessDeniedException",  # a permanent error has no EXHAUSTED_RETRY_CONDITION
    "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:ecs:runTask",
    "SCHEDULED_TIME": TIME,
    "EXECUTION_ID": "e1",
}
INPUT = {"containerOverrides": [{"name": "report", "command": ["report", "--all"]}]}
REQUEST = {
    "cluster": CLUSTER,
    "taskDefinition": "example-test-report",
    "launchType": "FARGATE",
    "startedBy": "chronos-schedule/example-test-hourly",
    "overrides": INPUT,
}
UNIVERSAL = {
    "Cluster": CLUSTER,
    "TaskDefinition": "example-test-report",
    "Overrides": {"ContainerOverrides": [{"Name": "report", "Command": ["report", "--all"]}]},
}


@pytest.mark.parametrize("body", [INPUT, REQUEST, UNIVERSAL], ids=["input", "request", "request of the SDK target"])
def test_a_schedule_starts_its_current_target_with_the_original_input(world: World, body: Any) -> None:
    """Scheduler may send several letters about one fire. The execution ID is new for each of its attempts."""
    world.schedule_task()
    for n in range(2):
        world.send("schedules", body, **{**SCHEDULED, "EXECUTION_ID": f"e{n}"})
    letters = list(world.queue("schedules").receive())
    assert [letter.source for letter in letters] == ["schedule example-test-hourly of 2026-11-25T01:00:00Z"] * 2
    assert letters[0].reason == "AccessDeniedException"
    assert letters[0].retry() == letters[1].retry()
    assert world.started_commands() == [["report", "--all"]]


@pytest.mark.parametrize("body", ["{}", REQUEST | {"overrides": {}}, {**REQUEST, "overrides": None}])
def test_a_schedule_without_overrides_starts_its_task(world: World, body: Any) -> None:
    world.schedule_task()
    world.send("schedules", body, **SCHEDULED)
    world.receive("schedules").retry()
    assert world.started() == [{}]


def test_a_schedule_passes_its_time_to_the_target_of_a_redrive(world: World) -> None:
    """Whether the body of a letter has the placeholder or the time is not documented."""
    world.schedule_task()
    item = {"name": "SCHEDULED_AT", "value": "<aws.scheduler.scheduled-time>"}
    body = {"containerOverrides": [{"name": "report", "environment": [item]}]}
    for form in (body, REQUEST | {"overrides": body}, json.loads(json.dumps(body).replace(item["value"], TIME))):
        world.send("schedules", form, **SCHEDULED)
        letter = world.receive("schedules")
        letter.retry()
        world.queue("schedules").delete(letter)
        world.server.forget_tokens()
    (container,) = world.started()[-1]["containerOverrides"]
    assert container["environment"] == [{"name": "SCHEDULED_AT", "value": TIME}]
    assert len({json.dumps(overrides) for overrides in world.started()}) == 1


def test_another_fire_starts_another_task(world: World) -> None:
    world.schedule_task()
    for hour in (1, 2):
        world.send("schedules", INPUT, **{**SCHEDULED, "SCHEDULED_TIME": f"2026-11-25T0{hour}:00:00Z"})
    for letter in world.queue("schedules").receive():
        letter.retry()
    assert len(world.started()) == 2


@pytest.mark.parametrize("form", ["input", "request", "request of the SDK target"])
def test_a_schedule_starts_its_workflow_with_the_original_input(world: World, form: str) -> None:
    machine = world.schedule_workflow()
    input = {"day": "2026-11-25", "input": 1}
    body: Any = {
        "input": input,
        "request": {"stateMachineArn": machine, "name": "x", "input": json.dumps(input)},
        "request of the SDK target": {"StateMachineArn": machine, "Input": json.dumps(input)},
    }[form]
    world.send("schedules", body, **{**SCHEDULED, "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sfn:startExecution"})
    letter = world.receive("schedules")
    letter.retry()
    (execution,) = world.aws.stepfunctions.list_executions(stateMachineArn=machine)["executions"]
    found = world.aws.stepfunctions.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(found["input"]) == input


@pytest.mark.parametrize(
    ("body", "attributes", "message"),
    [
        ({"detail": {}}, {}, "neither overrides nor a request of RunTask: detail"),
        (["x"], {}, "neither overrides nor a request of RunTask"),
        ("not JSON", {}, "not JSON"),
        (INPUT, {"IS_PAYLOAD_TRUNCATED": "true"}, "has truncated the message"),
        (INPUT, {"TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sfn:startExecution"}, "called sfn, and its current target"),
    ],
)
def test_a_message_that_cannot_be_read_completely_stays_in_the_queue(
    world: World, body: Any, attributes: dict[str, str], message: str
) -> None:
    world.schedule_task()
    world.send("schedules", body, **SCHEDULED | attributes)
    with pytest.raises(NotStarted, match=message):
        world.receive("schedules").retry()
    assert world.started() == []
    assert world.left("schedules") == 1


def test_a_redrive_without_capacity_succeeds_when_capacity_returns(world: World) -> None:
    """ECS returns the failures again for each token that it knows."""
    world.schedule_task()
    world.send("schedules", INPUT, **SCHEDULED)
    world.server.responses += [(200, {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]})] * 3
    with pytest.raises(NotStarted, match="RESOURCE:ENI"):
        world.receive("schedules").retry()
    letter = world.receive("schedules")
    assert letter.receives == 2
    assert letter.retry() == letter.retry()
    assert len(world.started()) == 1


def test_a_temporary_refusal_is_retried(world: World) -> None:
    world.schedule_task()
    world.send("schedules", INPUT, **SCHEDULED)
    refusal = {"__type": "InvalidParameterException", "message": "Rate exceeded (ErrorCode: Throttling)"}
    world.server.responses += [(400, refusal)] * 3
    world.receive("schedules").retry()
    assert len(world.started()) == 1
    assert len({request["clientToken"] for request in world.server.requests}) == 1


def test_a_lost_response_and_a_changed_target_start_the_task_once(world: World) -> None:
    world.schedule_task()
    world.send("schedules", INPUT, **SCHEDULED)
    world.server.lose_answers = 1
    with pytest.raises(Refused):
        world.receive("schedules").retry()
    boto3.client("scheduler").delete_schedule(GroupName="example-test", Name="example-test-hourly")
    boto3.client("scheduler").delete_schedule_group(Name="example-test")
    parameters = world.ecs_parameters("report") | {"PlatformVersion": "1.4.0"}
    world.create_schedule({"Arn": CLUSTER, "EcsParameters": parameters})
    assert world.receive("schedules").retry() == "the task was already started"
    assert len(world.started()) == 1


def test_a_task_of_an_earlier_redrive_is_found_after_ecs_has_forgotten_its_token(world: World) -> None:
    """The start succeeded, but the letter could not be deleted."""
    world.schedule_task()
    world.send("schedules", INPUT, **SCHEDULED)
    id = world.receive("schedules").retry()
    (task,) = world.server.started
    group = world.resources.naming.event_group
    world.aws.logs.create_log_group(logGroupName=group)
    world.aws.logs.create_log_stream(logGroupName=group, logStreamName="events")
    event = {"detail": {"taskArn": task["taskArn"], "startedBy": world.server.requests[-1]["startedBy"]}}
    now = int(time.time() * 1000)
    world.aws.logs.put_log_events(
        logGroupName=group, logStreamName="events", logEvents=[{"timestamp": now, "message": json.dumps(event)}]
    )
    world.server.forget_tokens()
    world.clock.sleep(3 * 86_400)
    assert world.receive("schedules").retry() == f"{id}, started by an earlier redrive"
    assert len(world.started()) == 1


def put_rule(world: World, **target: Any) -> dict[str, str]:
    """Create a rule with a task as its target, and return the attributes of its dead letters."""
    events: Any = boto3.client("events")
    events.put_rule(Name="example-test-daily", ScheduleExpression="rate(1 day)")
    parameters = world.ecs_parameters("load")
    events.put_targets(
        Rule="example-test-daily",
        Targets=[{"Id": "load", "Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": parameters, **target}],
    )
    rule = ARN.format("events", "rule/example-test-daily")
    return {"RULE_ARN": rule, "TARGET_ARN": CLUSTER, "ERROR_CODE": "THROTTLING"}


@pytest.mark.parametrize("input", [{"containerOverrides": [{"name": "load", "command": ["load"]}]}, None])
def test_a_rule_starts_its_target_with_its_input(world: World, input: Any) -> None:
    """A task receives nothing of the event if the rule has no input."""
    attributes = put_rule(world, **({} if input is None else {"Input": json.dumps(input)}))
    world.send("triggers", {"id": "1", "source": "aws.events", "detail": {}}, **attributes)
    letter = world.receive("triggers")
    assert letter.retry() == letter.retry()
    assert world.started() == [input or {}]


def test_a_rule_passes_its_time_to_its_target(world: World) -> None:
    template = json.dumps(INPUT).replace("--all", "<time>")
    attributes = put_rule(world, InputTransformer={"InputPathsMap": {"time": "$.time"}, "InputTemplate": template})
    for id, when in (("1", TIME), ("2", '","x": "')):
        world.send("triggers", {"id": id, "source": "aws.events", "time": when, "detail": {}}, **attributes)
        letter = world.receive("triggers")
        letter.retry()
        world.queue("triggers").delete(letter)
    assert world.started_commands() == [["report", TIME], ["report", ""]]


def test_a_rule_that_inserts_values_of_the_event_starts_nothing(world: World) -> None:
    """EventBridge does not escape them, so such a rule of an earlier version must be deployed again first."""
    transformer = {"InputPathsMap": {"key": "$.detail.object.key"}, "InputTemplate": '{"x": "<key>"}'}
    attributes = put_rule(world, InputTransformer=transformer)
    world.send("triggers", object_created("in/a.csv"), **attributes)
    with pytest.raises(NotStarted, match="Deploy this version"):
        world.receive("triggers").retry()
    assert world.left("triggers") == 1


@pytest.mark.parametrize("by", ["Lambda", "rule"])
def test_a_rule_with_a_function_invokes_it_with_the_event(world: World, by: str) -> None:
    """Lambda sends the letter if the function fails, EventBridge if it cannot invoke the function."""
    event = object_created('in/b_"2".csv', "v1")
    function = ARN.format("lambda", "function:example-test-on-file-trigger")
    events = boto3.client("events")
    events.put_rule(Name="example-test-on-file", EventPattern='{"source": ["aws.s3"]}')
    events.put_targets(Rule="example-test-on-file", Targets=[{"Id": "function", "Arn": function}])
    if by == "rule":
        rule = ARN.format("events", "rule/example-test-on-file")
        world.send("triggers", event, RULE_ARN=rule, TARGET_ARN=function, ERROR_CODE="THROTTLING")
    else:
        world.send("triggers", lambda_message() | {"requestPayload": event})
    letter = world.receive("triggers")
    assert letter.source.endswith('/in/b_"2".csv')
    assert letter.retry() == letter.retry() == "function example-test-on-file-trigger succeeded"
    (overrides,) = world.started()
    assert {"name": "S3_KEY", "value": 'in/b_"2".csv'} in overrides["containerOverrides"][0]["environment"]


def test_a_planned_attempt_that_scheduler_gave_up_is_passed_to_its_function(world: World) -> None:
    """Scheduler has deleted the schedule, so the function receives the message's body."""
    planned = {"retry": {"task": "0" * 32, "family": "example-test-load"}}
    arn = ARN.format("scheduler", f"schedule/example-test-retries/{'0' * 32}")
    world.send("retries", planned, SCHEDULE_ARN=arn, SCHEDULED_TIME="2026-11-29T03:10:00Z")
    letter = world.receive("retries")
    assert letter.source == f"retry of task {'0' * 32}"
    assert letter.retry() == "function example-test-retries succeeded"
    assert world.retried == [planned]


def test_a_notice_that_sns_could_not_deliver_is_passed_to_the_function_of_its_chat(world: World) -> None:
    """SNS's guide, "Dead-letter queues": the message is the notification as a subscriber would receive it."""
    topic = ARN.format("sns", "example-test-failures")
    notification = {"Type": "Notification", "MessageId": "m-1", "TopicArn": topic, "Subject": "s", "Message": "text"}
    world.send("failures-slack", notification)
    letter = world.receive("failures-slack")
    assert letter.source == "function example-test-failures-slack"
    assert letter.retry() == "function example-test-failures-slack succeeded"
    invoked = {"Records": [{"EventSource": "aws:sns", "Sns": notification}]}
    lost = {"requestContext": {"functionArn": ARN.format("lambda", "function:example-test-failures-slack:$LATEST")}}
    world.send("failures-slack", lost | {"requestPayload": invoked})
    assert world.notified[0]["Records"] == invoked["Records"]
    assert {one.source for one in world.queue("failures-slack").receive()} == {letter.source}


def test_each_redrive_of_an_object_has_new_tokens(world: World) -> None:
    world.send("triggers", lambda_message())
    world.server.responses += [(200, {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]})] * 50
    used: list[int] = []
    for _ in range(2):
        with pytest.raises(NotStarted, match="RESOURCE:ENI"):
            world.receive("triggers").retry()
        used.append(len({request["clientToken"] for request in world.server.requests}))
    assert used[0] < used[1]
    world.server.responses.clear()
    world.receive("triggers").retry()
    assert len(world.started()) == 1


@pytest.mark.parametrize(
    ("body", "attributes", "message"),
    [
        ("not JSON", {}, "unknown format"),
        ("{}", {}, "unknown format"),
        (lambda_message("another-owner"), {}, "does not belong to example-test"),
        ({}, {"RULE_ARN": ARN.format("events", "rule/another-owner")}, "does not belong to example-test"),
        ({}, {"SCHEDULE_ARN": ARN.format("scheduler", "schedule/other/x")}, "does not belong to example-test"),
        ({}, {"RULE_ARN": ARN.format("events", "rule/example-test-gone")}, "no longer exists"),
        ({}, {"SCHEDULE_ARN": ARN.format("scheduler", "schedule/example-test/example-test-gone")}, "no longer exists"),
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
