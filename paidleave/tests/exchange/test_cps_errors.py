"""Error files are reported as counts by kind, without personal data, and each is moved once."""

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
from paidleave.exchange.cps_errors import classify_error
from tests.exchange.conftest import ToolResult, run

pytestmark = pytest.mark.sampled(8)

TOOL = "paidleave.exchange.cps_errors"
NAME = "2026-01-05-20-00-00-EligibilityErrors.csv"
ERRORS = (
    b"employeeIdentifier,employeeNationalID,Error Message\n"
    b'a1,123-45-6789,"employeeNationalID 123-45-6789 of Ann Miller is not valid"\n'
    b'a2,987654321,"employeeNationalID 987654321 of Bob Brown is not valid"\n'
    b"a3,111223333,Duplicate employee\n"
)


class ErrorFolders:
    """The two folders of error files, and the settings that name them."""

    def __init__(self, folder: Path) -> None:
        self.received, self.processed = folder / "received", folder / "processed"
        self.settings: dict[str, Any] = {
            "CPS_ERROR_FILES_RECEIVED_PATH": self.received,
            "QUIET_SECONDS": "0",
            "CPS_ERROR_FILES_PROCESSED_PATH": self.processed,
        }

    def put(self, name: str, data: bytes) -> None:
        with storage.open_write(f"{self.received}/{name}") as file:
            file.write(data)

    def run(self, **settings: Any) -> ToolResult:
        return run(TOOL, self.settings | settings)

    @staticmethod
    def read_files(folder: Path) -> dict[str, bytes]:
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def folders(tmp_path: Path) -> ErrorFolders:
    return ErrorFolders(tmp_path)


@pytest.fixture
def new_relic() -> Iterator[tuple[dict[str, str], list[Any]]]:
    """Run a collector; return the settings that name it and the list of events that it receives."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.extend(json.loads(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield (
        {
            "NR_INSERT_API_KEY": "key-for-events",
            "NEW_RELIC_EVENTS_URL": f"http://127.0.0.1:{server.server_port}",
        },
        received,
    )
    server.shutdown()
    thread.join()
    server.server_close()


def test_errors_are_counted_by_kind_and_the_file_is_moved(
    folders: ErrorFolders, new_relic: tuple[dict[str, str], list[Any]]
) -> None:
    settings, received = new_relic
    folders.put(f"sub/{NAME}", ERRORS)
    result = folders.run(**settings)
    assert result.code == 0, result.text
    assert [(event["eventType"], event["kind"], event["count"]) for event in received] == [
        ("FINEOSBatchError", "employeeNationalID … of … is not …", 2),
        ("FINEOSBatchError", "Duplicate …", 1),
    ]
    assert (received[0]["file"], received[0]["file_date"]) == (f"sub/{NAME}", "2026-01-05")
    assert received[0]["file_type"] == "EligibilityErrors.csv"
    for personal in ("6789", "987654321", "111223333", "Miller", "Brown", "key-for-events"):
        assert personal not in result.text
        assert personal not in json.dumps(received)
    assert folders.read_files(folders.received) == {}
    assert folders.read_files(folders.processed) == {f"sub/{NAME}": ERRORS}
    assert result.event("summary")["errors"] == 3


def test_an_unreadable_file_is_not_moved_and_fails_the_run_at_its_end(folders: ErrorFolders) -> None:
    folders.put("a.csv", b"no,such,column\n1,2,3\n")
    folders.put("b.bin", b"\xff\xfe\x00")
    folders.put(NAME, ERRORS)
    result = folders.run()
    assert (result.code, result.error.partition(" and were")[0]) == (1, "2 of 3 error files could not be reported")
    assert "cannot read a.csv. Cause: no error column in the header; expected one of ERRORCODE" in result.text
    assert sorted(folders.read_files(folders.received)) == ["a.csv", "b.bin"]
    assert list(folders.read_files(folders.processed)) == [NAME]


def test_unreadable_records_are_counted(folders: ErrorFolders) -> None:
    folders.put(NAME, ERRORS + b"too,few\n\n")
    result = folders.run()
    assert result.code == 0
    assert {line["kind"]: line["count"] for line in result.lines if "kind" in line}["record that cannot be read"] == 2


def test_only_a_different_file_of_the_same_name_gets_a_number(folders: ErrorFolders) -> None:
    for data in (ERRORS, ERRORS, b"ERROR\nnew\n", ERRORS, b"ERROR\nnewer\n"):
        folders.put(NAME, data)
        assert folders.run().code == 0
    assert folders.read_files(folders.processed) == {
        NAME: ERRORS,
        f"{NAME}.2": b"ERROR\nnew\n",
        f"{NAME}.3": b"ERROR\nnewer\n",
    }
    assert folders.read_files(folders.received) == {}


def test_kinds_beyond_the_limit_are_counted_together(folders: ErrorFolders) -> None:
    folders.put(NAME, b"ErrorCode\n" + b"".join(b"E%04d\n" % number for number in range(200)))
    result = folders.run()
    kinds = {line["kind"]: line["count"] for line in result.lines if "kind" in line}
    assert (len(kinds), kinds["other errors"], sum(kinds.values())) == (51, 150, 200)


def test_kinds_contain_no_personal_data() -> None:
    assert classify_error("EMP-0042") == "EMP-0042"
    for text in ("123456789", "MILLER1", "AB123456", "SMITH, JOHN", "ü" * 10_000):
        assert set(classify_error(text)) <= {"…", " "}
    assert classify_error(None) == "no text"


def test_nested_folders_are_refused(folders: ErrorFolders) -> None:
    result = folders.run(CPS_ERROR_FILES_PROCESSED_PATH=f"{folders.received}/processed")
    assert (result.code, result.error.rpartition(" must ")[2]) == (2, "not contain each other")


def test_objects_in_a_bucket(ours: str) -> None:
    with storage.session().open_write(f"{ours}/received/{NAME}") as file:
        file.write(ERRORS)
    settings = {
        "CPS_ERROR_FILES_RECEIVED_PATH": f"{ours}/received",
        "CPS_ERROR_FILES_PROCESSED_PATH": f"{ours}/processed",
    }
    assert run(TOOL, settings).code == 0
    assert [one.name for one in storage.session().walk(ours)] == [f"processed/{NAME}"]
