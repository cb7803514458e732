"""The trigger function with ECS over HTTP: each object version starts one task, or the invocation fails."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from nightferry.lambdas import s3_trigger
from tests.lambdas.tokens import TokenServer, ecs_with_tokens

BUCKET = "example-test-agency-transfer"


@pytest.fixture(scope="module")
def server(aws_server: str) -> Iterator[TokenServer]:
    with ecs_with_tokens(aws_server) as server:
        yield server


@pytest.fixture
def ecs(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of the server, with a cluster and a task definition for this test."""
    s3_trigger._get_client.cache_clear()
    subnets, group = server.network()
    name = f"c{uuid4().hex[:8]}"
    for variable, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "CLUSTER": name,
        "TASK_DEFINITION": name,
        "CONTAINER": "import",
        "SUBNETS": ",".join(subnets[:2]),
        "SECURITY_GROUPS": group,
        "TRIGGER": "example-test-on-file",
    }.items():
        monkeypatch.setenv(variable, value)
    server.reset()
    client = boto3.client("ecs")
    client.create_cluster(clusterName=name)
    client.register_task_definition(
        family=name,
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "import", "image": "example:1", "memory": 512}],
    )
    yield client
    s3_trigger._get_client.cache_clear()


def record(key: str, version: str | None = None, sequencer: str = "00", **more: Any) -> dict[str, Any]:
    """Return a record as documented in S3's guide, with the encoded ``key``."""
    stored = {"key": quote_plus(key, safe="/"), "size": 1, "eTag": f"etag-{version}", "sequencer": sequencer}
    if version is not None:
        stored["versionId"] = version
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": BUCKET}, "object": stored},
    } | more


def started(ecs: Any, cluster: str) -> list[dict[str, str]]:
    """Return the object that was passed to each started task."""
    arns = [arn for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster) for arn in page["taskArns"]]
    tasks = [
        task
        for first in range(0, len(arns), 100)
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns[first : first + 100])["tasks"]
    ]
    return [
        {item["name"]: item["value"] for item in task["overrides"]["containerOverrides"][0]["environment"]}
        for task in tasks
    ]


def handle(*records: dict[str, Any]) -> dict[str, int]:
    return s3_trigger.handler({"Records": list(records)}, None)


def cluster() -> str:
    return os.environ["CLUSTER"]


def test_the_task_receives_the_decoded_key(ecs: Any) -> None:
    key = "dor/received/Été 100%+1 (a)&=ü/DORDUADFML_SUBMISSION 2026.csv"
    assert handle(record(key, "v1")) == {"started": 1, "ignored": 0}
    assert started(ecs, cluster()) == [{"S3_BUCKET": BUCKET, "S3_KEY": key, "S3_VERSION": "v1"}]


def test_a_hundred_repeated_concurrent_events_start_each_version_once(ecs: Any) -> None:
    """The events contain several versions of the same keys, and an older event may arrive last."""
    rng = random.Random(4)
    records = [record(f"in/{n % 10}.csv", f"v{n // 10}", f"{n:04X}") for n in range(40)]
    events = [*records, *rng.choices(records, k=60)]
    rng.shuffle(events)
    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(handle, events))
    assert sum(response["started"] for response in responses) == 100  # a repeated event returns the existing task
    found = Counter((item["S3_KEY"], item["S3_VERSION"]) for item in started(ecs, cluster()))
    assert found == Counter({(f"in/{n % 10}.csv", f"v{n // 10}"): 1 for n in range(40)})


def test_an_older_event_after_a_newer_one_starts_its_own_version(ecs: Any) -> None:
    handle(record("in/a.csv", "v2", "0B"))
    handle(record("in/a.csv", "v1", "0A"))
    handle(record("in/a.csv", "v2", "0B"))
    assert sorted(item["S3_VERSION"] for item in started(ecs, cluster())) == ["v1", "v2"]


def test_the_sequencer_distinguishes_two_writes_without_versions(ecs: Any) -> None:
    handle(record("in/a.csv", sequencer="0A"))
    handle(record("in/a.csv", sequencer="0B"))
    handle(record("in/a.csv", sequencer="0A"))
    assert started(ecs, cluster()) == [{"S3_BUCKET": BUCKET, "S3_KEY": "in/a.csv", "S3_VERSION": ""}] * 2


def test_a_repeated_event_after_a_network_change_starts_no_task(
    ecs: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ECS rejects the token because the parameters differ, and returns the task."""
    handle(record("in/a.csv", "v1"))
    monkeypatch.setenv("SUBNETS", os.environ["SUBNETS"].split(",")[0])
    assert handle(record("in/a.csv", "v1")) == {"started": 1, "ignored": 0}
    assert len(started(ecs, cluster())) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["decision"], second["decision"]) == ("started", "started before")
    assert first["task"] == second["task"]


@pytest.mark.parametrize(
    "ignored",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET},
        {"Records": [record("in/")]},
        {"Records": [record("in/a.csv", eventName="ObjectRemoved:Delete")]},
        {"Records": []},
    ],
    ids=["test event", "folder", "removal", "nothing"],
)
def test_an_event_that_requires_no_task_starts_none(ecs: Any, ignored: dict[str, Any]) -> None:
    assert s3_trigger.handler(ignored, None)["started"] == 0
    assert started(ecs, cluster()) == []


@pytest.mark.parametrize("name", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
def test_each_kind_of_creation_starts_a_task(ecs: Any, name: str) -> None:
    assert handle(record("in/a.csv", name, eventName=f"ObjectCreated:{name}", eventVersion="2.6"))["started"] == 1


@pytest.mark.parametrize(
    "event",
    [
        {"detail-type": "Object Created", "detail": {}},
        {},
        {"Records": [record("in/a.csv", eventVersion="3.0")]},
        {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}]},
        {"Records": [record("in/a.csv") | {"s3": {"bucket": {"name": BUCKET}, "object": {"key": "%FF"}}}]},
    ],
    ids=["EventBridge", "empty", "version 3", "no object", "not UTF-8"],
)
def test_an_unknown_event_fails(ecs: Any, event: dict[str, Any]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  # Lambda retries on any exception
        s3_trigger.handler(event, None)
    assert started(ecs, cluster()) == []


def test_a_start_with_failures_fails_and_the_retry_starts_the_task(ecs: Any, server: TokenServer) -> None:
    capacity = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
    server.responses.append((200, {"tasks": [], "failures": [{"reason": capacity}]}))
    with pytest.raises(s3_trigger.TaskNotStarted, match="Capacity is unavailable"):
        handle(record("in/a.csv", "v1"))
    assert handle(record("in/a.csv", "v1"))["started"] == 1
    assert len(started(ecs, cluster())) == 1


def test_a_throttled_call_is_retried_within_the_invocation(ecs: Any, server: TokenServer) -> None:
    server.responses.append((400, {"__type": "ThrottlingException", "message": "Rate exceeded"}))
    assert handle(record("in/a.csv", "v1"))["started"] == 1
    assert len(server.requests) == 2


def test_a_call_that_aws_rejects_fails(ecs: Any, server: TokenServer) -> None:
    server.responses.append((400, {"__type": "AccessDeniedException", "message": "not authorized to pass role"}))
    with pytest.raises(ClientError, match="not authorized"):
        handle(record("in/a.csv", "v1"))


def test_a_failed_record_does_not_prevent_the_other_starts(ecs: Any, server: TokenServer) -> None:
    """Lambda repeats the whole event, and tasks that were started are not started again."""
    server.responses.append((200, {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]}))
    records = [record(f"in/{n}.csv", "v1") for n in range(3)]
    with pytest.raises(s3_trigger.TaskNotStarted):
        handle(*records)
    assert len(started(ecs, cluster())) == 2
    handle(*records)
    assert Counter(item["S3_KEY"] for item in started(ecs, cluster())) == {f"in/{n}.csv": 1 for n in range(3)}


def test_the_request_is_within_the_limits_of_ecs(
    ecs: Any, server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use the longest key and names at their limits (RunTask's request limits)."""
    monkeypatch.setenv("TRIGGER", "t" * 56)
    handle(record("k" * 1024, "v" * 1024, "F" * 32))
    (request,) = server.requests
    assert len(json.dumps(request["overrides"])) <= 8192
    assert len(request["clientToken"]) == 64
    assert len(request["startedBy"]) <= 36
    assert request["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": os.environ["SUBNETS"].split(","),
        "securityGroups": [os.environ["SECURITY_GROUPS"]],
        "assignPublicIp": "DISABLED",
    }


def test_each_decision_is_logged_as_a_structured_line(ecs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    handle(record("in/a.csv", "v1"), record("in/"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["decision"] for line in lines] == ["started", "ignored"]
    assert lines[0]["trigger"] == "example-test-on-file"
    assert (lines[0]["bucket"], lines[0]["key"], lines[0]["version"]) == (BUCKET, "in/a.csv", "v1")
