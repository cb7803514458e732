"""Error files become counts by kind, and nothing that is anybody's; they are moved on, each once."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nightferry import storage
from paidleave.exchange.cps_errors import kind_of
from tests.exchange.conftest import Ended, run

TOOL = "paidleave.exchange.cps_errors"
NAME = "2026-01-05-20-00-00-EligibilityErrors.csv"
ERRORS = (
    b"employeeIdentifier,employeeNationalID,Error Message\n"
    b'a1,123-45-6789,"employeeNationalID 123-45-6789 of Ann Miller is not valid"\n'
    b'a2,987654321,"employeeNationalID 987654321 of Bob Brown is not valid"\n'
    b"a3,111223333,Duplicate employee\n"
)


class World:
    def __init__(self, folder: Path) -> None:
        self.received, self.processed = folder / "received", folder / "processed"
        self.settings: dict[str, Any] = {
            "CPS_ERROR_FILES_RECEIVED_PATH": self.received,
            "CPS_ERROR_FILES_PROCESSED_PATH": self.processed,
        }

    def put(self, name: str, data: bytes) -> None:
        with storage.open_write(f"{self.received}/{name}") as file:
            file.write(data)

    def run(self, **settings: Any) -> Ended:
        return run(TOOL, self.settings | settings)

    @staticmethod
    def files(folder: Path) -> dict[str, bytes]:
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def new_relic() -> Iterator[tuple[dict[str, str], list[Any]]]:
    """Settings that lead to a collector, and what it received."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.extend(json.loads(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield (
        {
            "NEW_RELIC_INSERT_API_KEY": "key-for-events",
            "NEW_RELIC_EVENTS_URL": f"http://127.0.0.1:{server.server_port}",
        },
        received,
    )
    server.shutdown()
    thread.join()
    server.server_close()


def test_errors_are_told_by_kind_and_the_file_moved(world: World, new_relic: tuple[dict[str, str], list[Any]]) -> None:
    settings, received = new_relic
    world.put(f"sub/{NAME}", ERRORS)
    ended = world.run(**settings)
    assert ended.code == 0, ended.text
    assert [(event["eventType"], event["kind"], event["count"]) for event in received] == [
        ("FINEOSBatchError", "employeeNationalID … of … is not …", 2),
        ("FINEOSBatchError", "Duplicate …", 1),
    ]
    assert (received[0]["file"], received[0]["file_date"]) == (f"sub / {NAME}", "2026-01-05")
    assert received[0]["file_type"] == "EligibilityErrors.csv"
    for personal in ("6789", "987654321", "111223333", "Miller", "Brown", "key-for-events"):
        assert personal not in ended.text
        assert personal not in json.dumps(received)
    assert world.files(world.received) == {}
    assert world.files(world.processed) == {f"sub/{NAME}": ERRORS}
    assert ended.event("summary")["errors"] == 3


def test_an_unreadable_file_stays_and_fails_the_run_at_its_end(world: World) -> None:
    world.put("a.csv", b"no,such,column\n1,2,3\n")
    world.put("b.bin", b"\xff\xfe\x00")
    world.put(NAME, ERRORS)
    ended = world.run()
    assert (ended.code, ended.error.partition(" and stay")[0]) == (1, "2 of 3 error files could not be reported")
    assert "a.csv cannot be used: no column names the error; one of ERRORCODE" in ended.text
    assert sorted(world.files(world.received)) == ["a.csv", "b.bin"]
    assert list(world.files(world.processed)) == [NAME]


def test_records_that_cannot_be_read_are_counted_too(world: World) -> None:
    world.put(NAME, ERRORS + b"too,few\n\n")
    ended = world.run()
    assert ended.code == 0
    assert {line["kind"]: line["count"] for line in ended.lines if "kind" in line}["record that cannot be read"] == 2


def test_a_file_that_comes_again_is_no_second_one_but_a_different_one_is(world: World) -> None:
    for data in (ERRORS, ERRORS, b"ERROR\nnew\n", ERRORS, b"ERROR\nnewer\n"):
        world.put(NAME, data)
        assert world.run().code == 0
    assert world.files(world.processed) == {NAME: ERRORS, f"{NAME}.2": b"ERROR\nnew\n", f"{NAME}.3": b"ERROR\nnewer\n"}
    assert world.files(world.received) == {}


def test_many_kinds_are_counted_together_beyond_a_limit(world: World) -> None:
    world.put(NAME, b"ErrorCode\n" + b"".join(b"E%04d\n" % number for number in range(200)))
    ended = world.run()
    kinds = {line["kind"]: line["count"] for line in ended.lines if "kind" in line}
    assert (len(kinds), kinds["other errors"], sum(kinds.values())) == (51, 150, 200)


def test_kinds_hold_no_data() -> None:
    assert kind_of("EMP-0042") == "EMP-0042"
    for text in ("123456789", "MILLER1", "AB123456", "SMITH, JOHN", "ü" * 10_000):
        assert set(kind_of(text)) <= {"…", " "}
    assert kind_of(None) == "no text"


def test_folders_in_each_other_are_refused(world: World) -> None:
    ended = world.run(CPS_ERROR_FILES_PROCESSED_PATH=f"{world.received}/processed")
    assert (ended.code, ended.error.rpartition(" must ")[2]) == (2, "not lie in each other")


def test_objects_in_a_bucket(ours: str) -> None:
    with storage.session().open_write(f"{ours}/received/{NAME}") as file:
        file.write(ERRORS)
    settings = {
        "CPS_ERROR_FILES_RECEIVED_PATH": f"{ours}/received",
        "CPS_ERROR_FILES_PROCESSED_PATH": f"{ours}/processed",
    }
    assert run(TOOL, settings).code == 0
    assert [one.name for one in storage.session().walk(ours)] == [f"processed/{NAME}"]
