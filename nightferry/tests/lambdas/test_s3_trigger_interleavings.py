"""The trigger function in any interleaving of repeated events, failures, lost responses and forgotten tokens.

The clients of boto3 are real, but a model of ECS and of the log of state changes responds instead of the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.lambdas import s3_trigger
from nightferry.testing import FakeClock
from nightferry.testing.fargate.client_tokens import ClientTokens, TokenConflict
from nightferry.testing.tiers import examples

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "CLUSTER": "example-test",
    "TASK_DEFINITION": "example-test-load",
    "CONTAINER": "load",
    "SUBNETS": "subnet-1",
    "SECURITY_GROUPS": "sg-1",
    "EVENT_LOG_GROUP": "/example/test/events",
    "TRIGGER": "example-test-on-file",
}


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        while data := self.read(1024):
            yield data


@dataclass
class Model:
    """ECS with one object's tasks.

    ``calls`` are the results of the next calls of RunTask: ``place``, ``full`` (no capacity), ``lost`` (ECS places the
    task, but no response arrives), ``lost full`` (the same without capacity), ``error`` (ECS does nothing), and
    ``deliver`` (another invocation runs to its end before this call).
    """

    run_minutes: int
    calls: list[str] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)
    stops: dict[str, datetime] = field(default_factory=dict)
    redrives: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        self.created = self.clock.now()
        self.messages: list[str] = []
        self.tokens = ClientTokens(self.clock, self.read_stop)

    def read_stop(self, arn: str) -> datetime | None:
        return self.stops[arn] if self.stops[arn] <= self.clock.now() else None

    def deliver(self) -> bool:
        """Invoke the function with the event; return True if it succeeds."""
        stored = {"key": "in/a.csv", "sequencer": "0A", "versionId": "v1", "eTag": "e"}
        record = {
            "eventVersion": "2.1",
            "eventTime": self.created.isoformat(),
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": stored},
        }
        try:
            event = {"Records": [record], "redrives": self.redrives}
            return s3_trigger.handler(event, None, now=self.clock.now, sleep=self.clock.sleep)["started"] == 1
        except Exception:
            return False

    def respond(self, request: Any, **_: Any) -> AWSResponse:
        body = json.loads(request.body)
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        status, response = self.run_task(body) if operation == "RunTask" else (200, self.find_events(body))
        headers = HTTPHeaders()
        headers["content-type"] = "application/x-amz-json-1.1"
        headers["x-amzn-RequestId"] = "1"
        return AWSResponse(request.url, status, headers, _Raw(json.dumps(response).encode()))

    def run_task(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        result = self.calls.pop(0) if self.calls else "place"
        if result == "deliver" and self.depth < 3:
            self.depth += 1
            self.deliver()
            self.depth -= 1
        if result == "error":
            return 400, {"__type": "ServerException", "message": "error"}
        try:
            response = self.tokens.find(request)
        except TokenConflict as conflict:
            return 400, conflict.to_response()
        if response is None:
            if "full" in result:
                response = {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time."}]}
            else:
                arn = f"arn:aws:ecs:us-east-1:123456789012:task/example-test/{len(self.stops)}"
                self.stops[arn] = self.clock.now() + timedelta(minutes=self.run_minutes)
                self.messages.append(json.dumps({"detail": {"taskArn": arn, "overrides": request["overrides"]}}))
                response = {"tasks": [{"taskArn": arn}], "failures": []}
            self.tokens.remember(request, response)
        return (400, {"__type": "Lost", "message": "lost"}) if "lost" in result else (200, response)

    def find_events(self, request: dict[str, Any]) -> dict[str, Any]:
        term = request["filterPattern"].strip('"')
        return {"events": [{"message": message} for message in self.messages if term in message]}


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 5, 30, 90, 300, 1500]),  # minutes before the invocation
        st.lists(
            st.sampled_from(["place", "full", "full", "full", "lost", "lost full", "error", "deliver"]), max_size=8
        ),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def clients() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        s3_trigger._get_client.cache_clear()
        yield
        s3_trigger._get_client.cache_clear()


@settings(max_examples=examples(150), deadline=None)
@given(steps=STEPS, run_minutes=st.sampled_from([1, 50, 600, 2000]))
def test_an_object_version_starts_one_task_once_capacity_returns(
    clients: None, steps: list[tuple[int, list[str]]], run_minutes: int
) -> None:
    model = Model(run_minutes)
    for service, operation in (("ecs", "RunTask"), ("logs", "FilterLogEvents")):
        s3_trigger._get_client(service).meta.events.register(
            f"before-send.{service}.{operation}", model.respond, unique_id="model"
        )
    try:
        for minutes, calls in steps:
            model.clock.sleep(60 * minutes)
            model.calls = list(calls)
            model.deliver()
            assert len(model.stops) <= 1
        model.calls.clear()
        for _ in range(20):  # the operator redrives the dead letter
            model.redrives += 1
            if model.deliver():
                break
        assert len(model.stops) == 1
        model.deliver()
        assert len(model.stops) == 1
    finally:
        for service, operation in (("ecs", "RunTask"), ("logs", "FilterLogEvents")):
            s3_trigger._get_client(service).meta.events.unregister(
                f"before-send.{service}.{operation}", unique_id="model"
            )
