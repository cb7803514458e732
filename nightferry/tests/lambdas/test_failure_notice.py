"""The notice of a failed execution: one message with step, error and cause, on an emulated SNS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from nightferry.backend.states import causes
from nightferry.contract import format_replacement, was_replaced
from nightferry.lambdas import failure_notice
from nightferry.lambdas.failure_notice import UnknownEvent, handler
from nightferry.states.machine.history import get_details_key

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:example-test-nightly"
EXECUTION = MACHINE.replace(":stateMachine:", ":execution:") + ":e1"
# From Step Functions' guide, "Execution status change", with the status of a failure.
EVENT: dict[str, Any] = {
    "version": "0",
    "id": "315c1398-40ff-a850-213b-158f73e60175",
    "detail-type": "Step Functions Execution Status Change",
    "source": "aws.states",
    "account": "123456789012",
    "time": "2026-11-29T19:42:21Z",
    "region": "us-east-1",
    "resources": [EXECUTION],
    "detail": {
        "executionArn": EXECUTION,
        "stateMachineArn": MACHINE,
        "name": "e1",
        "status": "FAILED",
        "startDate": 1551225271984,
        "stopDate": 1551225275984,
        "input": "{}",
        "output": None,
    },
}
CONSOLE = "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/" + EXECUTION
TASK: dict[str, Any] = {
    "Containers": [{"Name": "load", "ExitCode": 3}],
    "Group": "family:example-test-load",
    "StartedAt": 1551225271984,
    "StoppedReason": "Essential container in task exited",
    "TaskArn": "arn:aws:ecs:us-east-1:123456789012:task/example-test/1",
}
FAILED = [
    ("ExecutionFailed", 3, 2, {"error": "Broken", "cause": 'a "quoted"\ncause'}),
    ("TaskStateEntered", 2, 0, {"name": "load"}),
]


class World:
    """A topic with a queue as its subscriber, and the notices that the deployment writes next to the function."""

    def __init__(self, folder: Path) -> None:
        sns, self.sqs = boto3.client("sns"), boto3.client("sqs")
        self.topic = sns.create_topic(Name="example-test-failures")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        self.folder = folder
        self.write_notice()

    def write_notice(self, **changes: Any) -> None:
        notice = {"workflow": "nightly", "environment": "test", "topic": self.topic, "subject": "It failed"}
        text = json.dumps({MACHINE: notice | {"message": None} | changes})
        (self.folder / "notices.json").write_text(text)
        failure_notice._read_notices.cache_clear()

    def messages(self) -> list[dict[str, Any]]:
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]


@pytest.fixture
def world(aws_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for variable, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(failure_notice, "__file__", str(tmp_path / "failure_notice.py"))
    clients = failure_notice._get_client  # a test may replace it
    clients.cache_clear()
    yield World(tmp_path)
    clients.cache_clear()
    failure_notice._read_notices.cache_clear()


def make_event(kind: str, id: int, before: int, details: dict[str, Any] | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {"type": kind, "id": id, "timestamp": datetime(2026, 11, 29, tzinfo=UTC)}
    if before:  # Step Functions leaves out a previous event of 0
        event["previousEventId"] = before
    if details is not None:
        event[get_details_key(kind)] = details
    return event


def stub_history(monkeypatch: pytest.MonkeyPatch, *responses: list[dict[str, Any]] | str) -> Stubber:
    """Let Step Functions respond with these events, newest first, or with an error; the API's model is checked."""
    client = boto3.client("stepfunctions")
    stubber = Stubber(client)
    for n, response in enumerate(responses):
        last = n == len(responses) - 1
        if isinstance(response, str):
            stubber.add_client_error("get_execution_history", response, "no", 400)
            continue
        expected: dict[str, Any] = {"executionArn": EXECUTION, "reverseOrder": True}
        expected |= {"includeExecutionData": False, "maxResults": 1000} if last else {"maxResults": 1}
        stubber.add_response("get_execution_history", {"events": response}, expected)
    stubber.activate()
    real = failure_notice._get_client
    monkeypatch.setattr(failure_notice, "_get_client", lambda name: client if name == "stepfunctions" else real(name))
    return stubber


def test_the_notice_has_step_error_and_cause(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [make_event(*event) for event in FAILED]
    stub_history(monkeypatch, events[:1], events)
    handler(EVENT, None)
    (message,) = world.messages()
    assert message["Subject"] == "It failed"
    assert json.loads(message["Message"]) == {
        "workflow": "nightly",
        "environment": "test",
        "execution": EXECUTION,
        "status": "FAILED",
        "step": "load",
        "error": "Broken",
        "cause": 'a "quoted"\ncause',
        "command": "nightferry status e1 --env test",
        "link": CONSOLE,
    }


def test_subscribers_by_e_mail_receive_a_text(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto delivers only the default text, so the request is checked."""
    cause = json.dumps(TASK | {"StoppedReason": "Lost customer 123-45-6789"})
    end = make_event("ExecutionFailed", 3, 2, {"error": "States.TaskFailed", "cause": cause})
    events = [end, make_event(*FAILED[1])]
    stub_history(monkeypatch, events[:1], events)
    requests: list[dict[str, Any]] = []
    sns = failure_notice._get_client("sns")
    sns.meta.events.register("provide-client-params.sns.Publish", lambda params, **_: requests.append(dict(params)))
    handler(EVENT, None)
    (request,) = requests
    assert request["MessageStructure"] == "json"
    texts = json.loads(request["Message"])
    assert texts.keys() == {"default", "email"}
    assert texts["email"] == (
        "Workflow nightly failed in environment test.\n\nStep: load\nError: States.TaskFailed\n"
        "Cause: Task example-test-load ended with exit code 3: Lost customer *********.\n\n"
        f"Details: nightferry status e1 --env test\nConsole: {CONSOLE}"
    )
    assert len(world.messages()) == 1


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (TASK, "Task example-test-load ended with exit code 3."),
        (TASK | {"Containers": [{"ExitCode": 0}, {"ExitCode": 137, "Reason": "OutOfMemoryError: killed."}]},
         "Task example-test-load ended with exit code 137: OutOfMemoryError: killed."),
        ({"Containers": [{"Reason": "CannotPullContainerError: x"}], "StoppedReason": "Task failed to start"},
         "Task (unknown) did not start: CannotPullContainerError: x. Task failed to start."),
        ({"Containers": [{}], "StartedAt": 1, "StoppedReason": "Stopped by ann"},
         "Task (unknown) was stopped: Stopped by ann."),
        ({"Containers": []}, '{"Containers": []}'),
        ([1], "[1]"),
        ("no JSON", '"no JSON"'),
    ],
)  # fmt: skip
def test_a_cause_is_explained_alike_here_and_on_aws(cause: Any, expected: str) -> None:
    """ECS's description of a task, as Step Functions documents the cause of ecs:runTask.sync."""
    assert failure_notice.explain_cause(json.dumps(cause)) == expected
    assert causes.explain_cause(json.dumps(cause)) == expected


def test_a_fixed_message_is_sent_as_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [make_event(*event) for event in FAILED]
    stub_history(monkeypatch, events[:1], events)
    world.write_notice(message="Call the on-call engineer.", subject="x" * 120)
    handler(EVENT, None)
    (message,) = world.messages()
    assert (message["Message"], message["Subject"]) == ("Call the on-call engineer.", "x" * 100)


def test_a_history_without_its_end_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history is eventually consistent: it may lack its last events."""
    events = [make_event(*event) for event in FAILED]
    stub_history(monkeypatch, events[1:], [], events[:1], events)
    waits: list[float] = []
    handler(EVENT, None, sleep=waits.append)
    assert waits == [1, 2]
    (message,) = world.messages()
    assert json.loads(message["Message"])["error"] == "Broken"


def test_without_a_history_the_notice_has_the_error_of_the_event(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stub_history(monkeypatch, "ExecutionDoesNotExist")
    event = EVENT | {"detail": EVENT["detail"] | {"error": "Broken", "cause": "because"}}
    handler(event, None)
    message = json.loads(world.messages()[0]["Message"])
    assert (message["step"], message["error"], message["cause"]) == (None, "Broken", "because")


@pytest.mark.parametrize("cause", [format_replacement("arn:e2"), "by hand"])
@pytest.mark.parametrize("readable", [True, False])
def test_an_execution_that_was_replaced_has_no_notice(
    world: World, monkeypatch: pytest.MonkeyPatch, cause: str, readable: bool
) -> None:
    events = [make_event("ExecutionAborted", 3, 0, {"error": "E", "cause": cause}), make_event(*FAILED[1])]
    stub_history(monkeypatch, *([events[:1], events] if readable else ["ExecutionDoesNotExist"]))
    detail = EVENT["detail"] | {"status": "ABORTED"} | ({} if readable else {"cause": cause})
    replaced = was_replaced("ABORTED", cause)
    assert (handler(EVENT | {"detail": detail}, None)["message_id"] is None) is replaced
    assert len(world.messages()) == (0 if replaced else 1)
    assert failure_notice.was_replaced("ABORTED", cause) is replaced


def test_a_notice_that_cannot_be_published_fails_the_invocation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda then retries the event, and sends it to the dead-letter queue in the end."""
    events = [make_event(*event) for event in FAILED]
    stub_history(monkeypatch, events[:1], events)
    world.write_notice(topic=world.topic + "-gone")
    with pytest.raises(Exception, match="NotFound"):
        handler(EVENT, None)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"detail": None},
        {"detail": {"stateMachineArn": MACHINE}},
        {"detail": EVENT["detail"] | {"executionArn": 5}},
        {"detail": EVENT["detail"] | {"stateMachineArn": MACHINE + "/child"}},
    ],
)
def test_another_event_fails_the_invocation(world: World, event: dict[str, Any]) -> None:
    with pytest.raises(UnknownEvent):
        handler(event, None)
    assert world.messages() == []


# The orders of events are those of executions recorded on AWS, except ABORTED and TIMED_OUT, whose last event has no
# previous event there.
@pytest.mark.parametrize(
    ("newest_first", "step"),
    [
        (
            [
                ("ExecutionFailed", 5, 4),
                ("FailStateEntered", 4, 3, {"name": "b"}),
                ("PassStateExited", 3, 2, {"name": "a"}),
            ],
            "b",
        ),
        ([("ExecutionFailed", 9, 8), ("MapStateFailed", 8, 7), ("FailStateEntered", 7, 4, {"name": "inner"})], "inner"),
        (
            [
                ("ExecutionFailed", 8, 7),
                ("MapStateFailed", 7, 6),
                ("EvaluationFailed", 6, 4, {"state": "each", "error": "States.QueryEvaluationError"}),
                ("MapStateEntered", 5, 4, {"name": "each"}),
                ("PassStateExited", 4, 2, {"name": "items"}),
                ("PassStateEntered", 2, 0, {"name": "items"}),
            ],
            "each",
        ),
        (
            [
                ("ExecutionAborted", 6, 0),
                ("TaskSubmitted", 5, 4),
                ("TaskStateEntered", 4, 3, {"name": "b"}),
                ("TaskStateExited", 3, 2, {"name": "a"}),
                ("TaskStateEntered", 2, 0, {"name": "a"}),
            ],
            "b",
        ),
        (
            [
                ("ExecutionTimedOut", 7, 0),
                ("PassStateExited", 6, 5, {"name": "quick"}),
                ("PassStateEntered", 5, 3, {"name": "quick"}),
                ("WaitStateEntered", 4, 3, {"name": "slow"}),
                ("ParallelStateEntered", 2, 0, {"name": "both"}),
            ],
            "slow",
        ),
        ([("ExecutionAborted", 2, 0), ("ExecutionStarted", 1, 0)], None),
        ([], None),
    ],
)
def test_the_step_is_found_in_the_history(newest_first: list[tuple[Any, ...]], step: str | None) -> None:
    assert failure_notice.find_failed_step(make_event(*event) for event in newest_first) == step


def test_an_e_mail_has_no_link_in_a_partition_whose_console_is_not_known() -> None:
    failure = {"workflow": "nightly", "environment": "test", "status": "FAILED", "command": "c", "link": None}
    text = failure_notice._format_e_mail(failure | dict.fromkeys(("step", "error", "cause")))
    assert text == "Workflow nightly failed in environment test.\n\n\nDetails: c"
