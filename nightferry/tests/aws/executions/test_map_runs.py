"""The items of a distributed Map are child executions: counted in one call, listed a thousand a call."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from nightferry.aws.executions.map_runs import MapRuns
from nightferry.aws.session import Aws

START = datetime(2026, 11, 24, tzinfo=UTC)
RUN = "arn:aws:states:us-east-1:123456789012:mapRun:toy-test-many/Each:0f1e"
COUNTS = {"failuresNotRedrivable": 0, "pendingRedrive": 0, "resultsWritten": 0, "timedOut": 1, "aborted": 2}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return Aws("us-east-1", "123456789012")


@pytest.fixture
def stub(aws: Aws) -> Iterator[Stubber]:
    with Stubber(aws.stepfunctions) as stub:
        yield stub
        stub.assert_no_pending_responses()


def describe(stub: Stubber, **more: Any) -> None:
    counts = {"pending": 3, "running": 4, "succeeded": 9990, "failed": 5, "total": 10005} | COUNTS
    response = {"mapRunArn": RUN, "executionArn": "arn:aws:states:x:1:execution:m:e", "status": "RUNNING",
                "startDate": START, "maxConcurrency": 40, "toleratedFailurePercentage": 0.0,
                "toleratedFailureCount": 0, "itemCounts": counts, "executionCounts": counts, **more}  # fmt: skip
    stub.add_response("describe_map_run", response, {"mapRunArn": RUN})


def child(n: int, status: str) -> dict[str, Any]:
    arn = f"arn:aws:states:us-east-1:123456789012:execution:toy-test-many/Each:{n}"
    found = {"executionArn": arn, "stateMachineArn": "arn:aws:states:x:1:stateMachine:m", "name": str(n),
             "status": status, "startDate": START + timedelta(seconds=n), "mapRunArn": RUN}  # fmt: skip
    return found if status == "RUNNING" else {**found, "stopDate": START + timedelta(seconds=n + 5)}


def test_the_counts_of_a_map_run_come_from_one_call(aws: Aws, stub: Stubber) -> None:
    describe(stub)
    summary = MapRuns(aws).summarize(RUN, "each", 1)
    assert summary.counts == {"failed": 6, "stopped": 2, "running": 4, "pending": 3, "succeeded": 9990}
    assert summary.total == 10005


def test_items_are_listed_in_the_order_of_their_starts_and_an_ended_run_once(aws: Aws, stub: Stubber) -> None:
    described = {"stopDate": START + timedelta(minutes=1)}
    describe(stub, **described)
    newest_first = [child(3, "RUNNING"), child(2, "FAILED"), child(1, "SUCCEEDED")]
    asked = {"mapRunArn": RUN, "maxResults": 1000}
    stub.add_response("list_executions", {"executions": newest_first[:2], "nextToken": "t"}, asked)
    stub.add_response("list_executions", {"executions": newest_first[2:]}, {**asked, "nextToken": "t"})
    failed = {"input": '{"key": "in/2.csv"}', "error": "Boom", **{name: child(2, "FAILED")[name] for name in
              ("executionArn", "stateMachineArn", "status", "startDate")}}  # fmt: skip
    stub.add_response("describe_execution", failed, {"executionArn": child(2, "FAILED")["executionArn"]})
    describe(stub, **described)

    runs = MapRuns(aws)
    items = runs.list_items(RUN, "each", 1, lambda value, _: value)
    assert [items[n].status for n in range(len(items))] == ["succeeded", "failed", "running"]
    assert (items[1].key, items[1].error, items[0].key) == ("in/2.csv", "Boom", None)
    assert items[1].stopped_at == START + timedelta(seconds=7)
    assert items[2].stopped_at is None
    assert runs.list_items(RUN, "each", 1, lambda value, _: value) is items
