"""The events and texts that the Lambda functions receive."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from nightferry.lambdas import chat_notice, failure_notice, newrelic_forwarder, s3_trigger, task_retry
from nightferry.testing.fuzzing import Parser, from_json, from_text
from nightferry.testing.fuzzing.parser import Form
from tests.lambdas.test_chat_notice import ALARM, FAILURE
from tests.lambdas.test_failure_notice import EVENT as STATUS_CHANGE
from tests.lambdas.test_failure_notice import MACHINE
from tests.lambdas.test_task_retry import stopped

NOW = datetime(2026, 11, 24, tzinfo=UTC)
os.environ.update(
    TRIGGER="on-file",
    TASK_DEFINITION="load",
    CLUSTER="c",
    CONTAINER="load",
    SUBNETS="a,b",
    SECURITY_GROUPS="g",
    EVENT_LOG_GROUP="events",
    SCHEDULE_GROUP="retries",
    FUNCTION_ROLE="r",
    LICENSE_KEY_PARAMETER="/p",
    ROLE="r",
    DEAD_LETTERS="d",
    DEAD_LETTER_QUEUE="d",
    SCHEDULE_ROLE="r",
)


class FakeAws:
    """A client of AWS that accepts every call, and returns what a call for one task or execution returns."""

    def __init__(self, events: list[dict[str, Any]] | None = None) -> None:
        self._events = events or []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **_: {"tasks": [{"taskArn": "arn:t"}], "events": self._events, "MessageId": "m"}

    def get_paginator(self, _operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: iter([{"events": self._events}]))


@contextmanager
def quiet() -> Iterator[None]:
    before, sys.stdout = sys.stdout, io.StringIO()
    try:
        yield
    finally:
        sys.stdout = before


def _trigger(event: Any) -> Any:
    s3_trigger._get_client = lambda _: FakeAws()  # type: ignore[assignment]
    with quiet():
        return s3_trigger.handler(event, None, now=lambda: NOW, sleep=lambda _: None)


def _notify(event: Any) -> Any:
    history = [
        {"id": 3, "previousEventId": 2, "type": "ExecutionFailed", "executionFailedEventDetails": {"error": "E"}},
        {"id": 2, "previousEventId": 1, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "load"}},
    ]
    notice = {"workflow": "nightly", "environment": "test", "subject": "s" * 200, "topic": "arn:t", "message": ""}
    failure_notice._get_client = lambda _: FakeAws(history)  # type: ignore[assignment]
    failure_notice._read_notices = lambda: {MACHINE: notice}  # type: ignore[assignment]
    with quiet():
        return failure_notice.handler(event, None, sleep=lambda _: None)


def _retry(event: Any) -> Any:
    known = {"container": "load", "attempts": 3, "interval": 60, "backoff": 2.0, "definition": "load"}
    task_retry._get_client = lambda _: FakeAws()  # type: ignore[assignment]
    task_retry._read_retries = lambda: {"example-test-load": known}  # type: ignore[assignment]
    context = SimpleNamespace(invoked_function_arn="arn:f")
    with quiet():
        return task_retry.handler(event, context, sleep=lambda _: None, now=lambda: NOW)


def _render(text: str) -> Any:
    notice = chat_notice.read_notice("failures", None, text)
    return [json.dumps(chat_notice.render(notice, chat)) for chat in ("slack", "teams")]


def _forward(event: Any) -> Any:
    newrelic_forwarder._deliver = lambda *_: 1  # type: ignore[assignment]
    with quiet():
        return newrelic_forwarder.forward(event, 60.0, newrelic_forwarder.RetryPolicy())


def _forward_data(data: bytes) -> Any:
    return _forward({"awslogs": {"data": base64.b64encode(data).decode()}})


def _forward_payload(data: bytes) -> Any:
    return _forward_data(gzip.compress(data, 1))


def _build_entry(text: str) -> Any:
    payload = {"logGroup": "g", "logStream": "s"}
    event = {"id": "1", "timestamp": 1_795_000_000_000, "message": text.encode("utf-8", "replace").decode()}
    return newrelic_forwarder._encode_body([newrelic_forwarder._build_entry(payload, event)])


def _dumps(*values: Any) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(value).encode() for value in values]


S3_EVENT = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventTime": "2026-11-24T01:02:03.004Z",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "example-test-files"},
                "object": {"key": "in/a+b%C3%A9.txt", "size": 7, "eTag": "e", "versionId": "v", "sequencer": "00A1"},
            },
        }
    ]
}
OBJECT_CREATED = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "time": "2026-11-24T01:02:03Z",
    "detail": {
        "bucket": {"name": "b"},
        "object": {"key": "in/é b.txt", "size": 5, "etag": "e", "sequencer": "00"},
    },
}
LOGS = {
    "messageType": "DATA_MESSAGE",
    "logGroup": "g",
    "logStream": "s",
    "logEvents": [
        {"id": "1", "timestamp": 1_795_000_000_000, "message": '{"message": "m", "a": {"b": {"c": [1]}}, "d": 1.5}'},
        {"id": "2", "timestamp": 1_500_000_000_000, "message": "text"},
    ],
}


def _compress(*, bombs: bool = False) -> list[bytes]:
    body = json.dumps(LOGS).encode()
    if bombs:
        return [gzip.compress(b" " * (100 << 20), 9, mtime=0)]
    return [gzip.compress(body, mtime=0), gzip.compress(body, 0, mtime=0), gzip.compress(body[:300], 9, mtime=0)]


PARSERS = [
    Parser(
        "event of a new object",
        from_json(_trigger),
        _dumps(S3_EVENT, OBJECT_CREATED, {"Event": "s3:TestEvent"}),
        (s3_trigger.UnknownEvent, s3_trigger.RefusedKey, s3_trigger.NotStarted),
        (
            s3_trigger._split,
            s3_trigger._read_record,
            s3_trigger._read_event,
            s3_trigger._make_object,
            s3_trigger._decode_key,
            s3_trigger._start_task,
            s3_trigger._build_request,
            s3_trigger.handler,
        ),
        Form.JSON,
        (b"%", b"%zz", b"+", b"%00", b"%ff"),
        weight=20,
    ),
    Parser(
        "event of a failed execution",
        from_json(_notify),
        _dumps(STATUS_CHANGE),
        (failure_notice.UnknownEvent,),
        (
            failure_notice.handler,
            failure_notice._describe,
            failure_notice.find_failed_step,
            failure_notice.mask,
            failure_notice._make_link,
            failure_notice._format_e_mail,
        ),
        Form.JSON,
        weight=20,
    ),
    Parser(
        "cause of a failed step",
        from_text(failure_notice.explain_cause),
        _dumps(
            {
                "Containers": [{"ExitCode": 3, "Reason": "r"}],
                "Group": "family:x",
                "StartedAt": 1,
                "StoppedReason": "s",
            }
        ),
        (),
        (failure_notice.explain_cause,),
        Form.JSON,
    ),
    Parser(
        "event of a stopped task",
        from_json(_retry),
        _dumps(
            stopped(),
            stopped(stopCode="TaskFailedToStart"),
            {
                "retry": {
                    "task": "t",
                    "family": "example-test-load",
                    "attempt": 2,
                    "stopped": "2026-11-29T03:00:00Z",
                    "due": "2026-11-29T03:00:00+00:00",
                    "overrides": {},
                }
            },
        ),
        (task_retry.UnknownEvent, task_retry.NotStarted),
        (
            task_retry.handler,
            task_retry._plan,
            task_retry.read_exit_code,
            task_retry._schedule,
            task_retry._start,
            task_retry._build_request,
        ),
        Form.JSON,
        weight=20,
    ),
    Parser(
        "notice for a chat",
        from_text(_render),
        _dumps(FAILURE, ALARM, "text <b>"),
        (),
        (
            chat_notice.read_notice,
            chat_notice._read_failure,
            chat_notice._read_alarm,
            chat_notice.mask,
            chat_notice.render,
            chat_notice._render_slack,
            chat_notice._render_teams,
            chat_notice._escape_slack,
            chat_notice._make_alarm_link,
        ),
        Form.JSON,
        (b"https://", b"<!channel>", b"password=", b"123-45-6789", b"arn:aws:"),
        weight=10,
    ),
    Parser(
        "URL of a webhook",
        from_text(chat_notice._split_url),
        lambda: [b"https://hooks.example.com/services/T/B/x", b"http://localhost:8080/x"],
        (chat_notice.NotDelivered,),
        (chat_notice._split_url,),
        weight=10,
    ),
    Parser(
        "response of a chat",
        chat_notice._read_reason,
        lambda: [b"no_service", b'{"error": {"code": "Bad"}}'],
        (),
        (chat_notice._read_reason,),
    ),
    Parser(
        "Retry-After",
        from_text(lambda text: (chat_notice._parse_retry_after(text), newrelic_forwarder._parse_retry_after(text))),
        lambda: [b"120", b"Wed, 21 Oct 2026 07:28:00 GMT"],
        (),
        (chat_notice._parse_retry_after, newrelic_forwarder._parse_retry_after),
        weight=10,
    ),
    Parser(
        "CloudWatch data, compressed",
        _forward_data,
        _compress,
        (newrelic_forwarder.UnknownPayload,),
        (newrelic_forwarder.forward, newrelic_forwarder._build_entry),
        weight=10,
        garbage=(b"", b"x", _compress(bombs=True)[0]),
    ),
    Parser(
        "CloudWatch data",
        _forward_payload,
        _dumps(LOGS, {**LOGS, "messageType": "CONTROL_MESSAGE"}),
        (newrelic_forwarder.UnknownPayload,),
        (
            newrelic_forwarder.forward,
            newrelic_forwarder._build_entry,
            newrelic_forwarder._make_attribute_value,
            newrelic_forwarder._split_into_batches,
        ),
        Form.JSON,
        weight=10,
    ),
    Parser(
        "line for New Relic",
        from_text(_build_entry),
        lambda: [LOGS["logEvents"][0]["message"].encode()],
        (),  # type: ignore[index]
        (
            newrelic_forwarder._build_entry,
            newrelic_forwarder._parse_line,
            newrelic_forwarder._flatten,
            newrelic_forwarder._make_attribute_name,
            newrelic_forwarder._make_attribute_value,
        ),
        Form.JSON,
        weight=10,
    ),
]
