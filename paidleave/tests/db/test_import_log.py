"""The import log record is written immediately, always closed, and free of personal data."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightferry import JobFailed, Run
from nightferry.job.runtime import Runtime
from paidleave.db.import_log import import_log

Connect = Callable[[], psycopg.Connection[Any]]
OLD = json.loads((Path(__file__).parents[1] / "facts/etl-report.json").read_text(encoding="utf-8"))
METADATA = {
    "Family": "family",
    "Revision": "1",
    "LogOptions": {"awslogs-group": "group", "awslogs-stream": "stream"},
}


@pytest.fixture
def connect(empty_database: str) -> Connect:
    with psycopg.connect(empty_database) as connection:
        connection.execute(
            "CREATE TABLE import_log (import_log_id serial PRIMARY KEY, source text, import_type text, status text,"
            ' report text, start timestamptz, "end" timestamptz, updated_at timestamptz NOT NULL DEFAULT now())'
        )
    return lambda: psycopg.connect(empty_database)


@pytest.fixture
def run() -> Run:
    return Run(Runtime.read("dor-import", {"NIGHTFERRY_RUN_ID": "run-1"}))


def rows(connect: Connect) -> list[tuple[Any, ...]]:
    with connect() as connection:
        return connection.execute(
            'SELECT status, report::json, start IS NOT NULL, "end" IS NOT NULL FROM import_log ORDER BY import_log_id'
        ).fetchall()


def test_record_is_in_progress_first_and_successful_at_the_end(connect: Connect, run: Run) -> None:
    with import_log(connect, source="DOR", import_type="Initial", run=run) as entry:
        assert rows(connect) == [("in progress", {}, True, False)]
        entry.report["created_employers_count"] = 3
        entry.save()
        assert rows(connect) == [("in progress", {"created_employers_count": 3}, True, False)]
        entry.report["created_employers_count"] = 5
    assert rows(connect) == [("success", {"created_employers_count": 5}, True, True)]
    with connect() as connection:
        assert connection.execute(
            'SELECT import_log_id, source, import_type, updated_at >= "end" FROM import_log'
        ).fetchall() == [(entry.id, "DOR", "Initial", True)]


def failing(connect: Connect, run: Run, error: BaseException) -> None:
    with import_log(connect, source="DOR", import_type="Initial", run=run) as entry:
        entry.report["parsed_count"] = 7
        raise error


def test_error_is_recorded_and_raised_again(connect: Connect, run: Run) -> None:
    with pytest.raises(JobFailed):
        failing(connect, run, JobFailed("File x is cut off, ssn 999-00-0000"))
    ((status, report, _, ended),) = rows(connect)
    assert (status, ended, report["parsed_count"]) == ("error", True, 7)
    assert report["message"] == "JobFailed: File x is cut off, ssn *********"


def test_database_error_is_recorded_without_the_quoted_row(connect: Connect, run: Run) -> None:
    with connect() as connection:
        connection.execute("CREATE TABLE t (ssn text CONSTRAINT t_ssn_unique UNIQUE)")
        connection.execute("INSERT INTO t VALUES ('Wolfeschlegel')")
        connection.commit()
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            connection.execute("INSERT INTO t VALUES ('Wolfeschlegel')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        failing(connect, run, caught.value)
    message = rows(connect)[0][1]["message"]
    assert message == (
        'UniqueViolation: duplicate key value violates unique constraint "t_ssn_unique" '
        "(SQLSTATE 23505, schema public, table t, constraint t_ssn_unique)"
    )


def test_interrupt_is_recorded_as_an_error(connect: Connect, run: Run) -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(connect, run, KeyboardInterrupt())
    assert rows(connect)[0][0] == "error"


def test_report_retains_counts_with_nine_digits(connect: Connect, run: Run) -> None:
    with import_log(connect, source="DOR", import_type="Initial", run=run) as entry:
        entry.report.update({"lines_count": 123456789, "employer_fein": "123456789", "odd": float("nan")})
    assert rows(connect)[0][1] == {"lines_count": 123456789, "employer_fein": "[redacted]", "odd": "nan"}


def test_record_is_closed_after_its_connection_is_lost(connect: Connect, run: Run) -> None:
    with import_log(connect, source="DOR", import_type="Initial", run=run), connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
        )
    assert [row[0] for row in rows(connect)] == ["success"]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Return the events received by a test server that replaces New Relic and, for GET requests, ECS."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.extend(json.loads(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            content = json.dumps(METADATA).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("NR_INSERT_API_KEY", "the-insert-key")
        monkeypatch.setenv("NEW_RELIC_EVENTS_URL", f"http://127.0.0.1:{server.server_port}/")
        yield received
        server.shutdown()
        thread.join()


def test_event_has_the_attributes_that_existing_queries_use(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, events: list[Any]
) -> None:
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", os.environ["NEW_RELIC_EVENTS_URL"] + "v4")
    run = Run(Runtime.read("dor-import", {"SFN_EXECUTION_ID": "arn:aws:states:us-east-1:1:execution:machine:name"}))
    with import_log(connect, source="DOR", import_type="Initial", run=run):
        pass
    assert set(events[0]) == {"eventType", "job.status", *OLD["attributes"]}


def test_event_contains_report_and_batch(connect: Connect, run: Run, events: list[Any]) -> None:
    with import_log(connect, source="DOR", import_type="Initial", run=run) as entry:
        entry.report |= {"created_count": 3, "nested": {"rejected": {"A": 1}}, "many": dict.fromkeys(range(1000), 0)}
    (event,) = events
    start, end = (datetime.fromisoformat(event[name]) for name in ("job.start", "job.end"))
    assert event["task.durationMillis"] == round((end - start).total_seconds() * 1000)
    assert {
        name: value
        for name, value in event.items()
        if not name.startswith(("many.", "task.durationMillis", "job.start", "job.end"))
    } == {
        "eventType": "EtlReport",
        "created_count": 3,
        "nested.rejected.A": 1,
        "job.id": entry.id,
        "job.data_source": "DOR",
        "job.job_type": "Initial",
        "job.status": "success",
        "environment": "",
        "aws.ecs.task_name": "dor-import",
        "aws.ecs.task_id": "run-1",
        "attributes_omitted": event["attributes_omitted"],
    }


KILLED = """
import os, sys, psycopg
from nightferry.job import Run
from nightferry.job.runtime import Runtime
from paidleave.db.import_log import import_log
connect = lambda: psycopg.connect(sys.argv[1])
with import_log(connect, source="DOR", import_type=sys.argv[2], run=Run(Runtime.read("x", {}))):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_next_batch_of_the_type_closes_the_record_of_a_killed_process(
    connect: Connect, empty_database: str, run: Run
) -> None:
    processes = []
    for import_type in ("Initial", "Initial", "Other"):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, empty_database, import_type],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        processes.append(process)
    killed, alive, other = processes
    for process in (killed, other):
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until_locks_are_released(connect, sessions=1)
    with import_log(connect, source="DOR", import_type="Initial", run=run):
        pass
    assert [row[0] for row in rows(connect)] == ["error", "in progress", "in progress", "success"]
    assert "killed" in rows(connect)[0][1]["message"]
    alive.communicate(input="")
    for process in (killed, other):
        process.communicate()
    assert [row[0] for row in rows(connect)] == ["error", "success", "in progress", "success"]
    assert json.dumps(rows(connect)[1][1]) == "{}"


def wait_until_locks_are_released(connect: Connect, sessions: int) -> None:
    """Wait until PostgreSQL has noticed the closed connections and released their locks."""
    with connect() as connection:
        connection.autocommit = True
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        while connection.execute(locks).fetchone() != (sessions,):
            connection.execute("SELECT pg_sleep(0.01)")
