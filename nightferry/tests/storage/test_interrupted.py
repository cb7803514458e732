"""Test reads from S3 over broken connections: they return the object's content or raise an error."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nightferry import storage
from nightferry.storage import StorageError

DATA = bytes(range(256)) * 20_000


@dataclass
class Faults:
    """The faults of the server, and the requested ranges."""

    cut_after: int | None = None
    times: int = 10**9
    etag: str = '"v1"'
    ranges: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """A handler that serves one object in the way of S3."""

    protocol_version = "HTTP/1.1"
    faults: Faults

    def do_GET(self) -> None:
        faults = self.faults
        wanted = self.headers.get("Range")
        faults.ranges.append(wanted)
        if self.headers.get("If-Match") not in (None, faults.etag):
            self.send_response(412)
            self.send_header("x-amz-request-id", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        body = DATA[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", faults.etag)
        self.send_header("x-amz-request-id", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if faults.cut_after is not None and faults.times > 0:
            faults.times -= 1
            self.wfile.write(body[: faults.cut_after])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    faults = Faults()
    handler = type("FaultyHandler", (Handler,), {"faults": faults})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    yield faults
    server.shutdown()
    thread.join()
    server.server_close()


def read() -> bytes:
    with storage.session().open_read("s3://bucket/object") as file:
        return file.read()


def test_reading_resumes_after_a_broken_connection(faults: Faults) -> None:
    faults.cut_after, faults.times = 1_500_000, 3
    assert read() == DATA
    assert len(faults.ranges) == 4
    assert faults.ranges[0] is None
    assert all(wanted is not None for wanted in faults.ranges[1:])


def test_repeated_breaks_without_progress_are_an_error(faults: Faults) -> None:
    faults.cut_after = 0
    with pytest.raises(StorageError, match="s3://bucket/object"):
        read()


def test_progress_resets_the_number_of_attempts(faults: Faults) -> None:
    faults.cut_after = 300_000
    assert read() == DATA  # 18 breaks, more than the allowed attempts without progress
    assert len(faults.ranges) > 11


def test_an_object_replaced_during_the_read_is_an_error(faults: Faults) -> None:
    faults.cut_after, faults.times = 1_500_000, 1
    with storage.session().open_read("s3://bucket/object") as file:
        assert file.read(1000) == DATA[:1000]
        faults.etag = '"v2"'
        with pytest.raises(StorageError, match="replaced"):
            file.read()
