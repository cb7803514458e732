"""The responses and records of AWS that the commands read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.parsers
import botocore.session
from botocore.parsers import ResponseParserError

from nightferry import aws_responses
from nightferry.aws.executions import dead_letters, executions, history, targets
from nightferry.aws.logs import Event
from nightferry.aws.runs import outcomes, runs
from nightferry.aws.runs.journal import Journal
from nightferry.aws.verify import definitions
from nightferry.backend import log_lines
from nightferry.backend.log_windows import LogLine
from nightferry.backend.states import causes
from nightferry.clock import get_clock
from nightferry.contract import Naming, parse_arn_id, parse_repeat
from nightferry.environments.aws_resources import AwsResources
from nightferry.states.machine.history import HistoryEvent
from nightferry.testing.fuzzing import NOTHING, Parser, Unusable, from_json, from_text
from nightferry.testing.fuzzing.parser import Form
from tests.fuzz.functions import OBJECT_CREATED, S3_EVENT
from tests.lambdas.test_failure_notice import TASK
from tests.lambdas.test_task_retry import stopped
from tests.terraform.example import make_catalog, make_environment

NAMING = Naming("example", "test")
ECS_TASK = stopped()["detail"]
EVENTS = [
    {"id": 1, "timestamp": 1795.0, "type": "ExecutionStarted", "executionStartedEventDetails": {"input": "{}"}},
    {"id": 2, "timestamp": 1795.1, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "load"}},
    {
        "id": 3,
        "previousEventId": 2,
        "timestamp": 1795.2,
        "type": "TaskSubmitted",
        "taskSubmittedEventDetails": {
            "resourceType": "ecs",
            "resource": "runTask.sync",
            "output": json.dumps({"Tasks": [TASK]}),
        },
    },
    {
        "id": 4,
        "previousEventId": 3,
        "timestamp": 1795.3,
        "type": "TaskFailed",
        "taskFailedEventDetails": {"resourceType": "ecs", "resource": "x", "error": "E", "cause": json.dumps(TASK)},
    },
    {
        "id": 5,
        "previousEventId": 4,
        "timestamp": 1795.4,
        "type": "ExecutionFailed",
        "executionFailedEventDetails": {"error": "E", "cause": "c"},
    },
]
API_TASK = {
    **{key: value for key, value in ECS_TASK.items() if key != "version"},
    "createdAt": 1795.5,
    "stoppedAt": 1796,
}
OPERATIONS: dict[str, tuple[str, str, Any, Callable[[Any], Any]]] = {
    "DescribeTasks": (
        "ecs",
        "DescribeTasks",
        {"tasks": [API_TASK], "failures": []},
        lambda response: [runs.parse_run(task, NAMING, "g") for task in response["tasks"]],
    ),
    "FilterLogEvents": (
        "logs",
        "FilterLogEvents",
        {"events": [{"eventId": "12", "timestamp": 1795, "message": "m\n"}]},
        lambda response: [Event.read(event).position for event in response["events"]],
    ),
    "GetExecutionHistory": (
        "stepfunctions",
        "GetExecutionHistory",
        {"events": EVENTS},
        lambda response: _read_history(response["events"]),
    ),
    "ReceiveMessage": (
        "sqs",
        "ReceiveMessage",
        {"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": "{}", "Attributes": {"SentTimestamp": "1795"}}]},
        lambda response: [_parse_letter(m) for m in response["Messages"]],
    ),
}


@cache
def _model(service: str, operation: str) -> tuple[Any, Any]:
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    return model, botocore.parsers.create_parser("json")


def _read_response(operation: str) -> Callable[[bytes], Any]:
    service, name, _, use = OPERATIONS[operation]

    def read(body: bytes) -> Any:
        model, parser = _model(service, name)
        response = {"status_code": 200, "headers": {"x-amzn-requestid": "1"}, "body": body, "context": {}}
        aws_responses._check(model, response)
        parsed = parser.parse(response, model.output_shape)
        return use(aws_responses.Response(parsed, model.output_shape, f"{name}:"))

    return read


def _read_history(events: Any) -> Any:
    scoped = history.ScopeReader().add(events)
    list(history.find_tasks(scoped))
    return causes.state_history(scoped), causes.find_failed_step(scoped)


@cache
def _queue() -> dead_letters.Queue:
    catalog = make_catalog()
    resources = AwsResources(catalog, make_environment(catalog))
    url = "https://sqs/1/example-test-triggers-dead-letters"
    return dead_letters.Queue(resources, SimpleNamespace(), url, get_clock())  # type: ignore[arg-type]


def _parse_letter(message: Any) -> Any:
    letter = _queue()._parse(message)
    return NOTHING if letter.source == "unrecognized message" else letter


def _parse_letter_text(body: str, **attributes: str) -> Any:
    named = {name: {"StringValue": value} for name, value in attributes.items()}
    return _parse_letter({"MessageId": "m", "ReceiptHandle": "r", "Body": body, "MessageAttributes": named})


def _read_outcome(text: str) -> Any:
    detail = outcomes._parse_detail(text)
    return NOTHING if detail is None else runs.parse_run(detail, NAMING, "g")


def _find_input(text: str) -> Any:
    ecs = {"Arn": "a", "EcsParameters": {}}
    targets.Target.from_schedule({"Arn": "arn:m"}, text, "2026-11-24T00:00:00Z")
    return targets.Target.from_schedule(ecs, text, text)


def _from_rule(event: Any) -> Any:
    if not isinstance(event, dict):  # the reader of dead letters checks it
        raise Unusable
    transformer = {"InputPathsMap": {"time": "$.time"}, "InputTemplate": '{"at": "<time>"}'}
    return targets.Target.from_rule({"Arn": "a", "InputTransformer": transformer}, event)


def _read_lines(text: str) -> Any:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    lines = [LogLine(number, "r", now, line) for number, line in enumerate(text.split("\n"))]
    return log_lines.find_last_error(lines, now), log_lines.find_result(lines, now)


def _find_unanswered(data: bytes) -> Any:
    journal = Journal(Path.cwd(), "test", get_clock())
    journal.folder.mkdir(parents=True, exist_ok=True)
    (journal.folder / "t.json").write_bytes(data)
    return journal._find_unanswered("d") or NOTHING


def _parse_history(value: Any) -> Any:
    return [HistoryEvent.from_json(event) for event in value]


def _dumps(*values: Any) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(value).encode() for value in values]


DESTINATION = {"requestContext": {"functionArn": "arn:aws:lambda:us-east-1:1:function:f:$LATEST", "condition": "c"}}
PARSERS = [
    *(
        Parser(
            f"response to {name}",
            _read_response(name),
            _dumps(body),
            (ResponseParserError, aws_responses.IncompleteResponse),
            (aws_responses, *used),
            Form.JSON,
            weight=6,
        )
        for (name, (_, _, body, _)), used in zip(
            OPERATIONS.items(),
            ((runs,), (Event,), (history, causes.state_history), (dead_letters.Queue._parse,)),
            strict=True,
        )
    ),
    Parser(
        "state change of a task",
        from_text(_read_outcome),
        _dumps(stopped()),
        (),
        (outcomes._parse_detail, runs),
        Form.JSON,
        weight=10,
    ),
    Parser(
        "dead letter of a function",
        from_text(_parse_letter_text),
        _dumps(
            {**DESTINATION, "requestPayload": S3_EVENT, "responsePayload": {"errorMessage": "m"}},
            {"Type": "Notification", "Message": "m"},
        ),
        (),
        (dead_letters.Queue._parse, dead_letters.Queue._recognize, dead_letters._list_objects),
        Form.JSON,
    ),
    Parser(
        "dead letter of a rule",
        from_text(lambda text: _parse_letter_text(text, RULE_ARN="arn:rule:rule/bus/name")),
        _dumps(OBJECT_CREATED, S3_EVENT),
        (),
        (dead_letters.Queue._recognize, dead_letters._list_objects),
        Form.JSON,
    ),
    Parser(
        "attributes of a dead letter",
        from_json(
            lambda value: _parse_letter_text(
                "{}", **{str(key): str(item) for key, item in (value.items() if isinstance(value, dict) else ())}
            )
        ),
        _dumps(
            {
                "SCHEDULE_ARN": "arn:aws:scheduler:us-east-1:1:schedule/example-test/nightly",
                "ERROR_CODE": "c",
                "SCHEDULED_TIME": "2026-11-24T00:00:00Z",
                "IS_PAYLOAD_TRUNCATED": "false",
            }
        ),
        (),
        (dead_letters.Queue._recognize,),
        Form.JSON,
    ),
    Parser(
        "input in a dead letter",
        from_text(_find_input),
        _dumps(
            {"containerOverrides": [{"name": "a"}]},
            {"TaskDefinition": "t", "Overrides": {"Cpu": "1"}},
            {"StateMachineArn": "arn:m", "Input": "{}"},
        ),
        (targets.NotStarted,),
        (targets.Target, targets._find_input, targets._read_time, runs.to_ecs_keys),
        Form.JSON,
    ),
    Parser(
        "event of a rule",
        from_json(_from_rule),
        _dumps(OBJECT_CREATED),
        (targets.NotStarted,),
        (targets.Target, targets._read_time),
        Form.JSON,
    ),
    Parser(
        "lines of a log",
        from_text(_read_lines),
        lambda: [b'{"message": "m", "level": "ERROR"}\ntext\n{"message": "r", "event": "result", "result": {"a": 1}}'],
        (),
        (log_lines,),
        weight=20,
    ),
    Parser(
        "cause of a step",
        from_text(causes.explain_cause),
        _dumps(TASK),
        (),
        (causes.explain_cause,),
        Form.JSON,
    ),
    Parser(
        "output of an execution", from_text(executions._parse_json), _dumps({"a": 1}), (), (executions._parse_json,)
    ),
    Parser("output of a task", from_text(history._parse_json), _dumps({"Tasks": [TASK]}), (), (history._parse_json,)),
    Parser(
        "ARN",
        from_text(lambda text: (parse_arn_id(text), parse_repeat(text), NAMING.task(text))),
        lambda: [b"arn:aws:ecs:us-east-1:123456789012:task/c/0123", b"retry/0123456789abcdef0123456789ab"],
        (),
        (parse_arn_id, parse_repeat, Naming.task),
    ),
    Parser(
        "journal of calls",
        _find_unanswered,
        _dumps({"digest": "d", "at": "2999-11-24T00:00:00+00:00"}),
        (),
        (Journal._find_unanswered,),
        Form.JSON,
        weight=3,
    ),
    Parser(
        "deployed definition",
        from_text(lambda text: definitions.find_difference({"StartAt": "${x}", "a": ["b"]}, text)),
        _dumps({"StartAt": "y", "a": ["b"]}),
        (),
        (definitions,),
        Form.JSON,
    ),
]
