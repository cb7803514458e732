"""The forwarder with an HTTP server: each event arrives at least once, or the invocation fails."""

from __future__ import annotations

import base64
import gzip
import io
import json
import logging
import random
import time
from collections.abc import Iterator
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.job.logs import JsonFormatter
from nightferry.job.runtime import Runtime
from nightferry.lambdas import newrelic_forwarder
from nightferry.lambdas.newrelic_forwarder import DeliveryFailed, RetryPolicy, forward
from nightferry.testing.tiers import examples
from tests.lambdas.log_api import MAX_BODY_BYTES, Behavior, LogApi
from tests.lambdas.servers import serve

pytestmark = pytest.mark.sampled(8)

PARAMETER = "/service/example/test/common/newrelic-license-key"
KEY = "us01xx0123456789abcdefNRAL"
QUICK_RETRY = RetryPolicy(first_wait=0.001, longest_wait=0.01, request=20)
ENOUGH_SECONDS = 120.0


@pytest.fixture(scope="module")
def server() -> Iterator[LogApi]:
    with serve(LogApi()) as server:
        yield server


@pytest.fixture
def api(server: LogApi, aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogApi]:
    for variable, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LICENSE_KEY_PARAMETER": PARAMETER,
        "LOG_API_URL": server.url,
    }.items():
        monkeypatch.setenv(variable, value)
    put_key(KEY)
    newrelic_forwarder._read_license_key.cache_clear()
    server.reset()
    yield server
    newrelic_forwarder._read_license_key.cache_clear()


def put_key(value: str) -> None:
    boto3.client("ssm").put_parameter(Name=PARAMETER, Value=value, Type="SecureString", Overwrite=True)


def payload(*messages: str, kind: str = "DATA_MESSAGE", at: float | None = None) -> dict[str, Any]:
    """Return a subscription's event as documented in the guide of CloudWatch Logs."""
    moment = int((time.time() if at is None else at) * 1000)
    events = [{"id": f"{n:056d}", "timestamp": moment, "message": message} for n, message in enumerate(messages)]
    content = {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "service/example-test/ecs-tasks",
        "logStream": "test/load/0123456789abcdef",
        "subscriptionFilters": ["new-relic"],
        "logEvents": events,
    }
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()}}


def ids(entries: list[dict[str, Any]]) -> set[str]:
    return {entry["attributes"]["aws.logEventId"] for entry in entries}


def forward_line(api: LogApi, message: str) -> dict[str, Any]:
    """Forward a line and return the entry that arrives."""
    assert forward(payload(message), ENOUGH_SECONDS, QUICK_RETRY) == {"events": 1, "requests": 1}
    (entry,) = api.accepted
    return entry


# ── entries ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_fields_of_a_jobs_line_are_attributes(api: LogApi) -> None:
    record = logging.makeLogRecord(
        {
            "name": "job",
            "levelname": "INFO",
            "levelno": logging.INFO,
            "msg": "rows loaded",
            "fields": {"done": 5, "x": 1.5},
        }
    )
    formatter = JsonFormatter(Runtime.read("load", {"NIGHTFERRY_RUN_ID": "run-1"}))
    entry = forward_line(api, formatter.format(record))
    assert entry["message"] == "rows loaded"
    assert abs(entry["timestamp"] / 1000 - time.time()) < 600
    attributes = entry["attributes"]
    assert attributes.pop("time")
    assert attributes == {
        "aws.logGroup": "service/example-test/ecs-tasks",
        "aws.logStream": "test/load/0123456789abcdef",
        "aws.logEventId": "0" * 56,
        "level": "INFO",
        "logger": "job",
        "task": "load",
        "run_id": "run-1",
        "done": 5,
        "x": 1.5,
    }


def test_the_fields_of_a_state_change_are_attributes(api: LogApi) -> None:
    event = {
        "id": "e",
        "detail": {"lastStatus": "STOPPED", "containers": [{"exitCode": 1}], "overrides": {}},
        "x": None,
    }
    entry = forward_line(api, json.dumps(event))
    assert entry["message"] == json.dumps(event)
    attributes = {name: value for name, value in entry["attributes"].items() if not name.startswith("aws.")}
    assert attributes == {
        "id": "e",
        "detail.lastStatus": "STOPPED",
        "detail.containers": '[{"exitCode": 1}]',
        "detail.overrides": "{}",
    }


@pytest.mark.parametrize(
    "text", ["plain", "", "[1]", "3", '{"a": ', "\x00", "{" * 5000, '{"a":' * 5000 + "1" + "}" * 5000]
)
def test_a_line_that_is_not_an_object_is_the_message(api: LogApi, text: str) -> None:
    assert forward_line(api, text)["message"] == text


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(max_size=300)
        | st.sampled_from(["message", "timestamp", "accountId", "aws.logGroup", "cut", "more", "a.b"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=12,
    )
)
def test_any_object_gives_an_entry_within_the_limits(api: LogApi, fields: dict[str, Any]) -> None:
    """Hypothesis also generates NaN, infinities, huge integers and lone surrogates as JSON escapes."""
    api.reset()
    entry = forward_line(api, json.dumps(fields))
    check_limits(entry)
    leaves = sum(value is not None and not isinstance(value, dict) for value in fields.values())
    assert len(entry["attributes"]) + ("message" in fields) >= 3 + leaves  # no attribute has replaced another


def check_limits(entry: dict[str, Any]) -> None:
    assert set(entry) == {"timestamp", "message", "attributes"}
    assert len(entry["attributes"]) < 255
    assert not {"accountId", "appId", "eventType", "message", "timestamp"} & entry["attributes"].keys()
    assert entry["attributes"]["aws.logGroup"] == "service/example-test/ecs-tasks"
    for name, value in entry["attributes"].items():
        assert 1 <= len(name) <= 255
        assert isinstance(value, str | bool | float | int)
        if isinstance(value, int):
            assert -(2**63) <= value < 2**63
        assert len(str(value).encode()) <= 128_000  # also checks that it can be encoded


def test_fields_beyond_the_limit_are_combined_in_one_attribute(api: LogApi) -> None:
    entry = forward_line(api, json.dumps({f"field {n}": n for n in range(300)}))
    check_limits(entry)
    assert [entry["attributes"][f"field {n}"] for n in range(240)] == list(range(240))
    assert json.loads(entry["attributes"]["more"]) == {f"field {n}": n for n in range(240, 300)}


def test_a_value_that_is_too_long_is_truncated_and_named(api: LogApi) -> None:
    entry = forward_line(api, json.dumps({"message": "é" * 70_000, "trace": "x" * 128_001, "short": "y"}))
    check_limits(entry)
    assert entry["message"] == "é" * 64_000
    assert entry["attributes"]["trace"] == "x" * 128_000
    assert entry["attributes"]["cut"] == "trace, message"


def test_an_old_event_keeps_its_original_time(api: LogApi) -> None:
    """New Relic drops old events, and dead letters may be two weeks old."""
    forward(payload("old", at=1_700_000_000), ENOUGH_SECONDS, QUICK_RETRY)
    (entry,) = api.accepted
    assert entry["attributes"]["original_time"] == "2023-11-14T22:13:20+00:00"
    assert time.time() - entry["timestamp"] / 1000 < 600


def test_the_same_event_has_the_same_id_every_time(api: LogApi) -> None:
    event = payload("a", "b")
    forward(event, ENOUGH_SECONDS, QUICK_RETRY)
    forward(event, ENOUGH_SECONDS, QUICK_RETRY)
    assert len(api.accepted) == 4
    assert len(ids(api.accepted)) == 2


def test_a_probe_is_ignored_and_an_unknown_payload_fails(api: LogApi) -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    probe = payload("CWL CONTROL MESSAGE: Checking health of destination Lambda", kind="CONTROL_MESSAGE")
    assert newrelic_forwarder.handler(probe, context) == {"events": 0, "requests": 0}
    with pytest.raises(newrelic_forwarder.UnknownPayload, match="OTHER"):
        newrelic_forwarder.handler(payload("x", kind="OTHER"), context)
    assert api.keys == []


@pytest.mark.parametrize("timestamp", [float("inf"), float("nan"), None])
def test_a_time_that_is_not_a_number_fails(api: LogApi, timestamp: float | None) -> None:
    damaged = json.loads(gzip.decompress(base64.b64decode(payload("x")["awslogs"]["data"])))
    damaged["logEvents"][0]["timestamp"] = timestamp
    data = base64.b64encode(gzip.compress(json.dumps(damaged).encode())).decode()
    with pytest.raises(newrelic_forwarder.UnknownPayload, match="does not have the form of CloudWatch Logs"):
        forward({"awslogs": {"data": data}}, ENOUGH_SECONDS, QUICK_RETRY)
    assert api.keys == []


# ── batches ───────────────────────────────────────────────────────────────────────────────────────────────────


def random_text(size: int, seed: int) -> str:
    """Return text that does not compress to less than three quarters."""
    return base64.b64encode(random.Random(seed).randbytes(size * 3 // 4)).decode()


def test_batches_are_split_by_their_compressed_size(api: LogApi) -> None:
    event = payload(*(random_text(100_000, n) for n in range(30)))
    result = forward(event, ENOUGH_SECONDS, QUICK_RETRY)
    assert max(api.bodies) <= MAX_BODY_BYTES
    assert result == {"events": 30, "requests": len(api.bodies)}
    assert len(api.accepted) == 30 == len(ids(api.accepted))


def test_an_event_that_exceeds_a_request_arrives_truncated(api: LogApi) -> None:
    fields = {f"field {n}": random_text(100_000, n) for n in range(20)}
    forward(
        payload(json.dumps({"message": "start " + random_text(2000, 99)} | fields), "small"),
        ENOUGH_SECONDS,
        QUICK_RETRY,
    )
    large, small = sorted(api.accepted, key=lambda entry: entry["attributes"]["aws.logEventId"])
    assert large["message"].startswith("start ")
    assert large["attributes"]["cut"] == "all but the beginning of the message"
    assert small["message"] == "small"


def test_a_batch_that_new_relic_rejects_as_too_large_is_halved(api: LogApi) -> None:
    api.reset(413, 413)
    assert forward(payload(*"abcdef"), ENOUGH_SECONDS, QUICK_RETRY)["events"] == 6
    assert len(api.accepted) == 6 == len(ids(api.accepted))


# ── failures ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("problem", [408, 429, "429 0", 500, 503, "503 0", "cut", "cut after"])
def test_a_temporary_problem_is_retried(api: LogApi, problem: Behavior) -> None:
    api.reset(problem, problem, problem)
    assert forward(payload("a", "b"), ENOUGH_SECONDS, QUICK_RETRY)["events"] == 2
    assert len(ids(api.accepted)) == 2


def test_a_request_that_hangs_is_retried(api: LogApi) -> None:
    api.reset("hang")
    assert forward(payload("a"), ENOUGH_SECONDS, RetryPolicy(0.001, 0.01, request=1))["events"] == 1
    assert len(api.accepted) >= 1


@pytest.mark.parametrize("problem", [400, 402, 404, 301, 307])
def test_a_permanent_problem_fails_at_once(api: LogApi, problem: int) -> None:
    api.reset(problem)
    with pytest.raises(DeliveryFailed, match=f"rejected a batch: status {problem}"):
        forward(payload("a"), ENOUGH_SECONDS, QUICK_RETRY)
    assert len(api.keys) == 1


def test_a_rejected_batch_does_not_prevent_the_others(api: LogApi) -> None:
    api.reset(400)
    with pytest.raises(DeliveryFailed):
        forward(payload(*(random_text(100_000, n) for n in range(30))), ENOUGH_SECONDS, QUICK_RETRY)
    assert 0 < len(api.accepted) < 30


def test_a_wait_longer_than_the_time_left_fails_at_once(api: LogApi) -> None:
    for after in ("429 3600", f"503 {formatdate(time.time() + 3600, usegmt=True)}"):
        api.reset(after)
        with pytest.raises(DeliveryFailed, match="in the remaining time"):
            forward(payload("a"), ENOUGH_SECONDS, QUICK_RETRY)
        assert len(api.keys) == 1


def test_a_failure_that_lasts_ends_with_an_error_in_time(api: LogApi) -> None:
    api.reset(*[500] * 20, "500 60")  # the last Retry-After exceeds the remaining time
    with pytest.raises(DeliveryFailed, match="status 500"):
        forward(payload("a"), newrelic_forwarder.MARGIN_SECONDS + 30, QUICK_RETRY)
    assert len(api.keys) == 21
    api.reset(*[500] * 10_000)
    # The deadline can pass before, in or after the last request, so the problem is one of three.
    with pytest.raises(DeliveryFailed, match=r"remaining time: (status 500|no response)|No time was left"):
        forward(payload("a"), newrelic_forwarder.MARGIN_SECONDS + 0.5, QUICK_RETRY)
    assert len(api.keys) > 1
    with pytest.raises(DeliveryFailed, match="No time was left"):
        forward(payload("a"), newrelic_forwarder.MARGIN_SECONDS, QUICK_RETRY)
    assert api.accepted == []


def test_the_key_is_read_once_and_again_after_its_rotation(api: LogApi) -> None:
    forward(payload("a"), ENOUGH_SECONDS, QUICK_RETRY)
    put_key("us01new")
    forward(payload("b"), ENOUGH_SECONDS, QUICK_RETRY)
    assert api.keys == [KEY, KEY]
    api.wrong_key = KEY
    assert forward(payload("c"), ENOUGH_SECONDS, QUICK_RETRY)["events"] == 1
    assert api.keys == [KEY, KEY, KEY, "us01new"]


def test_an_invalid_key_fails_and_is_never_shown(api: LogApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.wrong_key = KEY
    with pytest.raises(DeliveryFailed, match=f"Check the license key in {PARAMETER}") as caught:
        forward(payload("a"), ENOUGH_SECONDS, QUICK_RETRY)
    assert api.keys == [KEY, KEY]
    put_key("two\r\nlines")
    newrelic_forwarder._read_license_key.cache_clear()
    with pytest.raises(DeliveryFailed, match="does not contain a license key") as malformed:
        forward(payload("a"), ENOUGH_SECONDS, QUICK_RETRY)
    output = f"{caught.value} {malformed.value} {capsys.readouterr()}"
    assert KEY not in output
    assert "lines" not in output


def test_a_key_that_cannot_be_read_fails(api: LogApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LICENSE_KEY_PARAMETER", "/nowhere")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        forward(payload("a"), ENOUGH_SECONDS, QUICK_RETRY)


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("eu01xx1", "log-api.eu.newrelic.com"),
        ("jp01xx1", "log-api.jp.newrelic.com"),
        ("0123456789", "log-api.newrelic.com"),
    ],
)
def test_the_key_determines_the_host_of_the_region(key: str, host: str) -> None:
    assert newrelic_forwarder.log_api_url(key) == f"https://{host}/log/v1"


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([200, 202, 413, 429, "429 0", "429 1000", 500, 503, "hang", "cut", "cut after", 400]),
        max_size=8,
    ),
    st.lists(st.sampled_from([1, 10, 30_000]), min_size=1, max_size=30),
)
def test_every_event_arrives_at_least_once_or_the_invocation_fails(
    api: LogApi, behaviors: list[Behavior], sizes: list[int]
) -> None:
    api.reset(*behaviors)
    event = payload(*(random_text(size, n) for n, size in enumerate(sizes)))
    try:
        result = forward(event, newrelic_forwarder.MARGIN_SECONDS + 60, RetryPolicy(0.001, 0.01, request=0.3))
    except DeliveryFailed:
        assert behaviors, "the server had no problem"
    else:
        assert result["events"] == len(sizes)
        assert len(ids(api.accepted)) == len(sizes)
    assert all(size <= MAX_BODY_BYTES for size in api.bodies)


def test_the_log_does_not_quote_events(api: LogApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.reset(400)
    with pytest.raises(DeliveryFailed):
        forward(payload("a secret thing"), ENOUGH_SECONDS, QUICK_RETRY)
    (line,) = io.StringIO(capsys.readouterr().out)
    assert json.loads(line) == {
        "decision": "not delivered",
        "group": "service/example-test/ecs-tasks",
        "events": 1,
        "problems": ["New Relic rejected a batch: status 400."],
    }


def test_another_status_than_that_of_new_relic_is_not_a_delivery(api: LogApi) -> None:
    api.reset(200)  # a proxy's page
    with pytest.raises(
        DeliveryFailed, match="is not from New Relic, which accepts a batch with status 202: status 200"
    ):
        forward(payload("a line"), ENOUGH_SECONDS, QUICK_RETRY)
