"""Custom events are sent to a server, and New Relic's agent runs only if a license key is set."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nightferry.contract import Privacy
from nightferry.job import Run, new_relic
from nightferry.job.redaction import redactor
from nightferry.job.runtime import Runtime

MakeJob = Callable[..., Any]


class Collector:
    """The requests that the server received, and the responses that it gives."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.metadata: dict[str, Any] = {}
        self.address = ""


@pytest.fixture
def collector() -> Iterator[Collector]:
    state = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.requests.append((self.path, headers, json.loads(body)))
            self.respond(state.status, {"success": True})

        def do_GET(self) -> None:
            self.respond(200 if self.path in state.metadata else 404, state.metadata.get(self.path, {}))

        def respond(self, status: int, content: object) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def keys(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NR_INSERT_API_KEY", "the-insert-key")
    monkeypatch.setenv("NEW_RELIC_EVENTS_URL", f"{collector.address}/v1/accounts/1/events")


def send(event: dict[str, Any], runtime: Runtime | None = None) -> None:
    runtime = runtime or Runtime.read("dor-import", {"NIGHTFERRY_RUN_ID": "run-1", "ENVIRONMENT": "test"})
    Run(runtime).send_events("Batch", [event])


def test_the_line_end_of_a_key_is_not_sent(collector: Collector, keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NR_INSERT_API_KEY", "the-insert-key\n")
    send({"created_count": 3})
    ((_, headers, _),) = collector.requests
    assert headers["api-key"] == "the-insert-key"


def test_an_event_has_its_fields_and_the_run(collector: Collector, keys: None) -> None:
    send({"created_count": 3, "nested": {"rejected": {"A": 1}}, "files": ["a", "b"], "flag": True, "none": None})
    ((path, headers, (event,)),) = collector.requests
    assert path == "/v1/accounts/1/events"
    assert headers["api-key"] == "the-insert-key"
    assert headers["content-encoding"] == "gzip"
    assert event == {
        "eventType": "Batch",
        "created_count": 3,
        "nested.rejected.A": 1,
        "files": '["a", "b"]',
        "flag": "True",
        "none": "None",
        "environment": "test",
        "aws.ecs.task_name": "dor-import",
        "aws.ecs.task_id": "run-1",
    }


def test_an_event_on_ecs_names_task_definition_log_and_execution(
    collector: Collector, keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.metadata = {
        "/v4/id": {"LogOptions": {"awslogs-group": "service/x/ecs-tasks", "awslogs-stream": "test/dor-import/abc"}},
        "/v4/id/task": {
            "TaskARN": "arn:aws:ecs:us-east-1:1:task/c/abc",
            "Family": "x-test-dor-import",
            "Revision": "3",
        },
    }
    address = f"{collector.address}/v4/id"
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", address)
    execution = "arn:aws:states:us-east-1:123456789012:execution:machine:name"
    runtime = Runtime.read("dor-import", {"ECS_CONTAINER_METADATA_URI_V4": address, "SFN_EXECUTION_ID": execution})
    assert runtime.run_id == "abc"
    send({}, runtime)
    ((_, _, (event,)),) = collector.requests
    assert event == {
        "eventType": "Batch",
        "environment": "",
        "aws.ecs.task_name": "dor-import",
        "aws.ecs.task_id": "abc",
        "aws.ecs.task_definition": "x-test-dor-import:3",
        "aws.cloudwatch.log_group": "service/x/ecs-tasks",
        "aws.cloudwatch.log_stream": "test/dor-import/abc",
        "aws.step_function.id": "machine:name",
    }


def test_without_a_key_nothing_is_sent(collector: Collector, keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NR_INSERT_API_KEY")
    send({})
    assert collector.requests == []


@pytest.mark.parametrize("status", [403, 500])
def test_a_rejected_event_is_logged_and_does_not_fail_the_job(
    collector: Collector, keys: None, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    collector.status = status
    send({})
    assert f"{status} " in caplog.text
    assert "the-insert-key" not in caplog.text


def test_an_unreachable_collector_does_not_fail_the_job(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_RELIC_EVENTS_URL", "http://127.0.0.1:1/")
    send({})


def test_a_report_fits_into_an_event() -> None:
    long = new_relic.flatten_report({"text": "ä" * 5000} | {f"count_{n}": n for n in range(1000)})
    assert len(long) <= new_relic.MAX_ATTRIBUTES - 20
    assert len(str(long["text"]).encode()) <= 4096
    assert long["attributes_omitted"] == 1001 - (len(long) - 1)


def test_a_report_is_redacted_by_the_policy() -> None:
    report = {"ssn": "999000000", "x": "999000000", "password": "hunter2"}
    assert new_relic.flatten_report(report) == report | {"password": "[redacted]"}
    with redactor.isolate():
        redactor.privacy = Privacy.STRICT
        masked = {"ssn": "[redacted]", "x": "*********", "password": "[redacted]"}
        assert new_relic.flatten_report(report) == masked


def test_the_agent_is_not_imported_without_a_license_key(job: MakeJob) -> None:
    body = "log.info('agent', extra={'loaded': any(name.split('.')[0] == 'newrelic' for name in sys.modules)})"
    ended = job(body).run(NEW_RELIC_LICENSE_KEY="")
    assert [line["loaded"] for line in ended.lines if line["message"] == "agent"] == [False]


def test_the_agent_records_a_background_transaction_without_data(job: MakeJob) -> None:
    body = """
import newrelic.agent
transaction = newrelic.agent.current_transaction(active_only=False)
settings = newrelic.agent.global_settings()
log.info("agent", extra={"values": [
    transaction.background_task, transaction.group, transaction.name,
    settings.strip_exception_messages.enabled, settings.application_logging.enabled, settings.app_name]})
"""
    ended = job(body).run(
        NEW_RELIC_LICENSE_KEY="0" * 40, NEW_RELIC_DEVELOPER_MODE="true", NEW_RELIC_STARTUP_TIMEOUT="0"
    )
    assert ended.code == 0
    (values,) = [line["values"] for line in ended.lines if line["message"] == "agent"]
    assert values[-3:] == [True, False, "nightferry-test"]
    assert values[:3] == [True, "Python/ECSTask", "a-job"]
