"""The result of a job: what its main returns is logged, and stored if a later step of its workflow reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, NamedTuple, TypedDict

import pytest
from pydantic import BaseModel

from nightferry import JobSettings, Run, background_task
from nightferry.contract import RESULT_LIMIT, RESULTS_VARIABLE, Privacy
from nightferry.job import Runtime
from nightferry.testing import RunResult, run_job


class Settings(JobSettings):
    pass


def end_with(value: object, folder: Path | None = None, privacy: Privacy = Privacy.SECRETS_ONLY) -> RunResult:
    """Return the end of a job that returns the value; a later step reads it if ``folder`` is set."""

    @background_task("load", Settings)
    def main(settings: Settings, run: Run) -> object:
        del settings, run
        return value

    env = {} if folder is None else {RESULTS_VARIABLE: folder.as_uri(), "NIGHTFERRY_RUN_ID": "run-7"}
    return run_job(main, env, privacy=privacy)


class Model(BaseModel):
    rows: int
    day: date


@dataclass
class Data:
    rows: int
    day: date


class Dict(TypedDict):
    rows: int


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (Dict(rows=3), {"rows": 3}),
        (Model(rows=3, day=date(2026, 11, 29)), {"rows": 3, "day": "2026-11-29"}),
        (Data(3, date(2026, 11, 29)), {"rows": 3, "day": "2026-11-29"}),
        ({"keys": ("in/é.csv",), "share": Decimal("0.5")}, {"keys": ["in/é.csv"], "share": "0.5"}),
        ({}, {}),
    ],
    ids=["TypedDict", "model", "dataclass", "dict", "empty"],
)
def test_a_result_is_logged_and_stored(value: object, result: object, tmp_path: Path) -> None:
    ended = end_with(value, tmp_path / "a folder")
    assert ended.exit_code == 0
    assert ended.result == result
    assert json.loads((tmp_path / "a folder/run-7.json").read_text("utf-8")) == result


def test_a_result_that_no_step_reads_is_only_logged(tmp_path: Path) -> None:
    ended = end_with({"rows": 3})
    assert (ended.exit_code, ended.result) == (0, {"rows": 3})
    assert list(tmp_path.iterdir()) == []


def test_a_job_without_a_result(tmp_path: Path) -> None:
    assert (end_with(None).exit_code, end_with(None).result) == (0, None)
    ended = end_with(None, tmp_path)
    assert ended.exit_code == 1
    assert ended.errors == [
        "The job returned nothing, but a later step of the workflow reads its result. Return an object on each path of "
        "the function."
    ]


class Metadata(BaseHTTPRequestHandler):
    """ECS's metadata, which the container's agent does not have at the first request."""

    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.requests.append(self.path)
        found = len(self.requests) > 1
        self.send_response(200 if found else 503)
        self.end_headers()
        self.wfile.write(b'{"TaskARN": "arn:aws:ecs:us-east-1:1:task/cluster/abc"}' if found else b"")

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def test_the_id_of_the_run_is_that_of_the_ecs_task() -> None:
    variable = "ECS_CONTAINER_METADATA_URI_V4"
    environ = {RESULTS_VARIABLE: "s3://bucket/results/load"}
    assert "the run has no ID by which its result can be found" in Runtime.read("load", environ).problems[0]
    with HTTPServer(("127.0.0.1", 0), Metadata) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        runtime = Runtime.read("load", {**environ, variable: f"http://127.0.0.1:{server.server_port}/v4"})
        server.shutdown()
    assert (runtime.run_id, runtime.problems) == ("abc", ())
    assert Metadata.requests == ["/v4/task"] * 2


class Pair(NamedTuple):
    rows: int


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "The result is of type int. Return an object"),
        ([1], "The result is of type list. Return an object"),
        (Pair(1), "The result is of type Pair. Return an object"),
        (object(), "The result is of type object and is not JSON. Return an object of texts"),
        ({"rows": 1, "x": object()}, "The result is of type dict and is not JSON, because of its member 'x'. Return"),
        (
            {"rows": 1, "x": [float("nan")]},
            "is not JSON, because of its member 'x'. Return an object of texts, numbers",
        ),
        (
            {"x": "a" * RESULT_LIMIT},
            f"{RESULT_LIMIT:,} are allowed. Store the data as an object, and",
        ),
        ({"x": "é" * (RESULT_LIMIT // 2)}, "bytes of JSON"),
        ({"last_name": "Ng"}, "looks like it, in: last_name. Results are stored in plain text."),
        ({"people": [{"ssn": 3}, {"ok": 1}]}, "in: people[].ssn."),
        ({"note": "call ann@example.org"}, "in: note."),
        ({"ann@example.org": 1}, "in: the result: a name."),
    ],
)
def test_an_invalid_result_fails_the_job(value: Any, message: str, tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        ended = end_with(value, folder, Privacy.STRICT)
        assert ended.exit_code == 1
        assert len(ended.errors) == 1
        assert message in ended.errors[0]
        assert "ann@" not in json.dumps(ended.lines)
        assert ended.events("result") == []
    assert list(tmp_path.iterdir()) == []


def test_a_result_may_have_personal_data_unless_the_policy_is_strict() -> None:
    shown = {"name": "Ng", "order_id": 123456789, "note": "call ann@example.org"}
    assert end_with(shown).result == shown
    assert "in: password." in end_with({"password": "hunter2"}).errors[0]


def test_the_largest_result_is_accepted(tmp_path: Path) -> None:
    ended = end_with({"x": "a " * ((RESULT_LIMIT - 8) // 2)}, tmp_path)
    assert (ended.exit_code, ended.errors) == (0, [])


def test_a_result_that_cannot_be_stored_fails_the_job(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    ended = end_with({"rows": 3}, tmp_path / "results")
    assert ended.exit_code == 1
    assert len(ended.errors) == 1
    assert ended.events("result") == []
