"""The trigger function with ECS over HTTP: each object version starts one task, or the invocation fails."""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from nightferry import contract, storage
from nightferry.lambdas import s3_trigger
from nightferry.storage.locations import S3Location
from nightferry.testing import FakeClock
from tests.lambdas.tokens import TokenServer, ecs_with_tokens

pytestmark = pytest.mark.sampled(8)

BUCKET = "example-test-agency-transfer"
CLOCK = FakeClock(datetime.now(UTC))  # moto refuses log lines of another year
CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
NO_CAPACITY = (200, {"tasks": [], "failures": [{"reason": CAPACITY}]})


@pytest.fixture(scope="module")
def server(aws_server: str) -> Iterator[TokenServer]:
    with ecs_with_tokens(aws_server, CLOCK) as server:
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
        "eventTime": f"{CLOCK.now():%Y-%m-%dT%H:%M:%S}.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": BUCKET}, "object": stored},
    } | more


def object_created(key: str, version: str | None = None, sequencer: str = "00") -> dict[str, Any]:
    """Return EventBridge's event for the same object as :func:`record`, as documented in its guide."""
    stored = {"key": key, "size": 1, "etag": f"etag-{version}", "sequencer": sequencer}
    if version is not None:
        stored["version-id"] = version
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": f"{CLOCK.now():%Y-%m-%dT%H:%M:%SZ}",
        "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {"version": "0", "bucket": {"name": BUCKET}, "object": stored, "reason": "PutObject"},
    }


def describe(key: str, version: str) -> dict[str, str]:
    """Return the variables of a task for an object of the bucket. Its URI is that of the job's own storage."""
    uri = f"s3://{BUCKET}/{key}"
    assert storage.parse(uri) == S3Location(BUCKET, key)
    return {"S3_BUCKET": BUCKET, "S3_KEY": key, "S3_VERSION": version, "S3_URI": uri}


def started(ecs: Any, cluster: str) -> list[dict[str, str]]:
    """Return the object that was passed to each started task."""
    arns = [arn for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster) for arn in page["taskArns"]]
    tasks = [
        task
        for first in range(0, len(arns), 100)
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns[first : first + 100])["tasks"]
    ]
    return [
        {
            item["name"]: item["value"]
            for item in task["overrides"]["containerOverrides"][0]["environment"]
            if item["name"] != contract.START_VARIABLE
        }
        for task in tasks
    ]


def handle(*records: dict[str, Any]) -> dict[str, int]:
    return invoke({"Records": list(records)})


def invoke(event: dict[str, Any]) -> dict[str, int]:
    return s3_trigger.handler(event, None, now=CLOCK.now, sleep=CLOCK.sleep)


def cluster() -> str:
    return os.environ["CLUSTER"]


def test_the_task_receives_the_decoded_key(ecs: Any) -> None:
    key = "dor/received/Été 100%+1 (a)&=ü/DORDUADFML_SUBMISSION 2026.csv"
    assert handle(record(key, "v1")) == {"started": 1, "ignored": 0}
    assert started(ecs, cluster()) == [describe(key, "v1")]


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
    assert started(ecs, cluster()) == [describe("in/a.csv", "")] * 2


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
        object_created("in/"),
        object_created("in/a.csv") | {"detail-type": "Object Deleted"},
    ],
    ids=["test event", "folder", "removal", "nothing", "folder by EventBridge", "removal by EventBridge"],
)
def test_an_event_that_requires_no_task_starts_none(ecs: Any, ignored: dict[str, Any]) -> None:
    assert invoke(ignored)["started"] == 0
    assert started(ecs, cluster()) == []


@pytest.mark.parametrize("name", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
def test_each_kind_of_creation_starts_a_task(ecs: Any, name: str) -> None:
    assert handle(record("in/a.csv", name, eventName=f"ObjectCreated:{name}", eventVersion="2.6"))["started"] == 1


def without(event: dict[str, Any], *path: str) -> dict[str, Any]:
    """Return a copy of the event without one member."""
    copy: dict[str, Any] = json.loads(json.dumps(event))
    parent: Any = copy
    for step in path[:-1]:
        parent = parent[0] if step == "0" else parent[step]
    del parent[path[-1]]
    return copy


RECORD = {"Records": [record("in/a.csv")]}
EVENT = object_created("in/a.csv")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"detail-type": "Object Created", "detail": {}}, "not from S3"),
        (EVENT | {"source": "example.s3"}, "not from S3"),
        ({}, "Its keys: none"),
        ({"Records": [record("in/a.csv", eventVersion="3.0")]}, "supports 2.x"),
        ({"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}]}, "no member s3"),
        (without(RECORD, "Records", "0", "eventTime"), "no member eventTime"),
        (without(RECORD, "Records", "0", "s3", "bucket"), "no member s3.bucket"),
        (without(RECORD, "Records", "0", "s3", "object", "key"), "no member key"),
        (without(RECORD, "Records", "0", "s3", "object", "sequencer"), "neither a version nor a sequencer"),
        ({"Records": [None]}, "no member eventVersion"),
        ({"Records": ["s3"]}, "no member eventVersion"),
        ({"Records": [record("in/a.csv", eventTime="today")]}, "'today', which is not ISO 8601"),
        ({"Records": [record("in/a.csv", eventTime=None)]}, "eventTime of the event is not text"),
        ({"Records": [record("in/a.csv", eventVersion=2)]}, "eventVersion of the event is not text"),
        (EVENT | {"time": ""}, "'', which is not ISO 8601"),
        (without(EVENT, "time"), "no member time"),
        (without(EVENT, "detail", "bucket", "name"), "no member detail.bucket.name"),
        (without(EVENT, "detail", "object"), "no member detail.object"),
        (without(EVENT, "detail", "object", "sequencer"), "neither a version nor a sequencer"),
    ],
)
def test_an_unknown_event_fails(ecs: Any, event: dict[str, Any], message: str) -> None:
    with pytest.raises(s3_trigger.UnknownEvent, match=message):
        invoke(event)
    assert started(ecs, cluster()) == []


@pytest.mark.parametrize("encoded", ["%FF", "in/100%", "in/%zz.csv", "in/%C3"])
def test_a_key_that_is_not_encoded_as_documented_fails(ecs: Any, encoded: str) -> None:
    event = {"Records": [record("x")]}
    event["Records"][0]["s3"]["object"]["key"] = encoded
    with pytest.raises(s3_trigger.UnknownEvent, match=r"encoded|not UTF-8"):
        invoke(event)
    assert started(ecs, cluster()) == []


HOSTILE = [
    'in/"},{"name":"PATH","value":"x".csv',
    'in/x"}]}],"command":["sh","-c","id"]',
    "in/a\nb\r\tc.csv",
    "in/100%25+%00 &<key>$$.csv",
    "in/\u202ereversed \U0001f600.csv",
    "in/\\u0000\\",
    "${aws:key}",
]


@pytest.mark.parametrize("key", HOSTILE)
@pytest.mark.parametrize("by", ["S3", "EventBridge"])
def test_a_key_sets_only_its_own_variable(ecs: Any, server: TokenServer, key: str, by: str) -> None:
    invoke({"Records": [record(key, "v1")]} if by == "S3" else object_created(key, "v1"))
    assert started(ecs, cluster()) == [describe(key, "v1")]
    (request,) = server.requests
    (container,) = request["overrides"]["containerOverrides"]
    assert container.keys() == {"name", "environment"}
    assert request["overrides"].keys() == {"containerOverrides"}


@pytest.mark.parametrize(
    ("key", "version", "message"),
    [
        ("in/a\0b.csv", "v1", "null character"),
        ("in/\ud800.csv", "v1", "not valid Unicode"),
        ("\x01" * 1024, "\x01" * 512, "ECS allows 8,192"),
    ],
)
def test_a_key_that_a_task_cannot_receive_is_refused(ecs: Any, key: str, version: str, message: str) -> None:
    with pytest.raises(s3_trigger.RefusedKey, match=message):
        invoke(object_created(key, version))
    assert started(ecs, cluster()) == []


def test_any_key_of_1024_bytes_fits(ecs: Any) -> None:
    """In the longest JSON form of a key, each byte has six characters."""
    for key in ("\x01" * 1024, "é" * 512, "\U0001f600" * 256):
        assert invoke(object_created(key, "v" * 32))["started"] == 1
    # Only a long key of control characters does not fit twice, and comes without its URI.
    assert [("S3_URI" in item) for item in started(ecs, cluster())].count(False) == 1


def test_a_task_that_reads_the_uri_never_starts_without_it(ecs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READS_URI", "true")
    with pytest.raises(s3_trigger.RefusedKey, match=r"ECS allows 8,192\. Give .* or one without control characters\.$"):
        invoke(object_created("\x01" * 1024, "v1"))
    assert started(ecs, cluster()) == []
    assert invoke(object_created("\x01" * 512, "v1"))["started"] == 1
    assert [item["S3_URI"] for item in started(ecs, cluster())] == [f"s3://{BUCKET}/" + "\x01" * 512]


@pytest.mark.parametrize("version", ["v1", None])
def test_s3_and_eventbridge_identify_the_same_object(ecs: Any, version: str | None) -> None:
    """A bucket whose notifications change from one to the other may deliver an event through both."""
    handle(record("in/a b%.csv", version, "0A"))
    invoke(object_created("in/a b%.csv", version, "0A"))
    assert len(started(ecs, cluster())) == 1


def test_a_workflow_receives_the_object_once(
    ecs: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Step Functions rejects the name of an execution that has ended, for 90 days."""
    client = boto3.client("stepfunctions")
    definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
    machine = client.create_state_machine(
        name=cluster(), definition=definition, roleArn="arn:aws:iam::123456789012:role/r"
    )["stateMachineArn"]
    monkeypatch.setenv("STATE_MACHINE", machine)
    key = 'in/"},{"x.csv'
    for event in (object_created(key, "v1"), {"Records": [record(key, "v1")]}, object_created(key, "v1")):
        assert invoke(event)["started"] == 1
    (execution,) = client.list_executions(stateMachineArn=machine)["executions"]
    found = client.describe_execution(executionArn=execution["executionArn"])
    variables = describe(key, "v1")
    assert json.loads(found["input"]) == {
        name: variables[variable] for name, variable in contract.INPUT_VARIABLES.items() if variable in variables
    }
    client.stop_execution(executionArn=execution["executionArn"])
    capsys.readouterr()
    assert invoke(object_created(key, "v1"))["started"] == 1
    assert json.loads(capsys.readouterr().out)["decision"] == "started before"
    invoke(object_created(key, "v2"))
    assert len(client.list_executions(stateMachineArn=machine)["executions"]) == 2
    assert started(ecs, cluster()) == []


def test_the_job_runtime_knows_the_variable_of_the_start() -> None:
    assert s3_trigger.START_VARIABLE == contract.START_VARIABLE


def test_a_start_with_failures_fails_and_the_retry_starts_the_task(ecs: Any, server: TokenServer) -> None:
    """ECS returns the failures again for each token that it has received, so the retry needs a new one."""
    event = record("in/a.csv", "v1")
    server.responses += [NO_CAPACITY] * 3
    with pytest.raises(s3_trigger.NotStarted, match="Capacity is unavailable"):
        handle(event)
    CLOCK.sleep(60)
    assert handle(event)["started"] == 1
    tokens = [request["clientToken"] for request in server.requests]
    assert len(tokens) == 7  # three failures, the same three again, and a new token
    assert len(set(tokens)) == 4
    handle(event)
    assert len(started(ecs, cluster())) == 1


def test_a_start_succeeds_in_the_same_invocation_if_capacity_returns(ecs: Any, server: TokenServer) -> None:
    server.responses += [NO_CAPACITY] * 2
    assert handle(record("in/a.csv", "v1"))["started"] == 1
    assert len(started(ecs, cluster())) == 1


def test_a_lost_response_is_requested_with_the_same_token(ecs: Any, server: TokenServer) -> None:
    event = record("in/a.csv", "v1")
    server.responses += [NO_CAPACITY]
    server.lose_answers = 1
    with pytest.raises(ClientError, match="closed"):
        handle(event)
    server.responses += [NO_CAPACITY]
    assert handle(event)["started"] == 1
    server.lose_answers = 1
    with pytest.raises(ClientError, match="closed"):
        handle(event)
    assert handle(event)["started"] == 1
    assert len(started(ecs, cluster())) == 1


def test_an_empty_response_does_not_advance_to_the_next_token(ecs: Any, server: TokenServer) -> None:
    """A proxy's page with status 200 is an empty response for the client, and ECS may have started the task."""
    server.responses += [(200, {})]
    with pytest.raises(s3_trigger.NotStarted, match="no task and no failure"):
        handle(record("in/a.csv", "v1"))
    assert len(server.requests) == 1


def test_each_invocation_and_each_redrive_has_new_tokens(ecs: Any, server: TokenServer) -> None:
    event = {"Records": [record("in/a.csv", "v1")]}
    server.responses += [NO_CAPACITY] * 100
    used = 0
    for wait, redrives in [(0, 0), (60, 0), (120, 0), (1200, 1), (5, 2), (5, 3)]:
        CLOCK.sleep(wait)
        with pytest.raises(s3_trigger.NotStarted):
            invoke(event | {"redrives": redrives})
        tokens = len({request["clientToken"] for request in server.requests})
        assert tokens > used, "the invocation only repeated known failures"
        used = tokens
    assert used <= 30
    server.responses.clear()
    assert invoke(event | {"redrives": 4})["started"] == 1
    assert len(started(ecs, cluster())) == 1


def test_a_conflict_without_a_task_is_a_failure_only_after_a_while(
    ecs: Any, server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other request may still be in progress. Later, it must have ended without a task."""
    event = record("in/a.csv", "v1")
    server.responses += [NO_CAPACITY] * 3
    with pytest.raises(s3_trigger.NotStarted):
        handle(event)
    monkeypatch.setenv("SUBNETS", os.environ["SUBNETS"].split(",")[0])
    with pytest.raises(ClientError, match="ConflictException"):
        handle(event)
    assert started(ecs, cluster()) == []
    CLOCK.sleep(1000)
    assert handle(event)["started"] == 1
    assert len(started(ecs, cluster())) == 1


def test_an_old_event_finds_the_task_after_ecs_has_forgotten_its_token(
    ecs: Any, server: TokenServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ECS remembers a token for an hour after the task has stopped. The log of state changes has its start."""
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=cluster())
    logs.create_log_stream(logGroupName=cluster(), logStreamName="events")
    monkeypatch.setenv("EVENT_LOG_GROUP", cluster())
    event, other = record("in/a.csv", "v1"), record("in/b.csv", "v1")
    handle(event)
    (task,) = server.started
    change = {"detail": {"taskArn": task["taskArn"], "overrides": server.requests[0]["overrides"]}}
    at = int(CLOCK.now().timestamp() * 1000)
    logs.put_log_events(
        logGroupName=cluster(),
        logStreamName="events",
        logEvents=[{"timestamp": at, "message": text} for text in ("other", json.dumps(change))],
    )
    server.stopped[task["taskArn"]] = CLOCK.now()
    CLOCK.sleep(2 * 3600)
    capsys.readouterr()
    assert handle(event)["started"] == 1
    assert json.loads(capsys.readouterr().out)["task"] == task["taskArn"]
    assert len(started(ecs, cluster())) == 1
    assert handle(other)["started"] == 1
    assert len(started(ecs, cluster())) == 2


def test_a_throttled_call_is_retried_within_the_invocation(ecs: Any, server: TokenServer) -> None:
    server.responses.append((400, {"__type": "ThrottlingException", "message": "Rate exceeded"}))
    assert handle(record("in/a.csv", "v1"))["started"] == 1
    assert len(server.requests) == 2


TEMPORARY = [
    (
        "InvalidParameterException",
        "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
    ),
    (
        "ClientException",
        "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/r' that was provided for this task.",
    ),
]


@pytest.mark.parametrize(("code", "message"), TEMPORARY)
def test_a_temporary_rejection_is_retried_with_the_same_token(
    ecs: Any, server: TokenServer, code: str, message: str
) -> None:
    server.responses += [(400, {"__type": code, "message": message})] * 2
    before = CLOCK.now()
    assert handle(record("in/a.csv", "v1"))["started"] == 1
    assert len({request["clientToken"] for request in server.requests}) == 1
    assert 1.5 <= (CLOCK.now() - before).total_seconds() <= 3
    server.responses += [(400, {"__type": code, "message": message})] * 5
    with pytest.raises(ClientError, match=re.escape(message)):
        handle(record("in/b.csv", "v1"))
    assert (CLOCK.now() - before).total_seconds() < 20, "the function has a timeout of 60 s"


def test_a_call_that_aws_rejects_fails(ecs: Any, server: TokenServer) -> None:
    server.responses.append((400, {"__type": "AccessDeniedException", "message": "not authorized to pass role"}))
    with pytest.raises(ClientError, match="not authorized"):
        handle(record("in/a.csv", "v1"))


def test_a_failed_record_does_not_prevent_the_other_starts(ecs: Any, server: TokenServer) -> None:
    """Lambda repeats the whole event, and tasks that were started are not started again."""
    server.responses += [(200, {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]})] * 3
    records = [record(f"in/{n}.csv", "v1") for n in range(3)]
    with pytest.raises(s3_trigger.NotStarted):
        handle(*records)
    CLOCK.sleep(60)
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
