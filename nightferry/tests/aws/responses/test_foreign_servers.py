"""A proxy, a login page or a broken connection instead of AWS: every command ends soon with one sentence.

A real server responds to the first request of each command. In place of every later response, a handler of botocore's
event before-send returns the page, so that each operation of each command is tested.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

import botocore.handlers
import pytest
from botocore.awsrequest import AWSResponse

from nightferry.testing.tiers import LONG
from tests.aws.responses.commands import COMMANDS, SAMPLE, Command, World, interrupted_after

pytestmark = pytest.mark.sampled(8)

PAGE = b"<html><head><title>Sign in</title></head><body>Welcome to the guest network of Example.<br></body></html>"
FOREIGN = "is not from AWS"


def respond(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = (f"HTTP/1.1 {status} Status", *headers, f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join((*lines, "Connection: close", "", "")).encode() + body


JSON = "Content-Type: application/x-amz-json-1.1"
HTML = "Content-Type: text/html"
ID = "x-amzn-RequestId: 1"
RESPONSES: dict[str, tuple[bytes | None, str]] = {
    "HTML with 200": (respond(200, PAGE, HTML), "(status 200) is not from AWS"),
    "HTML with 403": (respond(403, PAGE, HTML), "(status 403) is not from AWS"),
    "HTML with 503": (respond(503, PAGE, HTML), "(status 503) is not from AWS"),
    "HTML named JSON": (respond(200, PAGE, JSON), "(status 200) is not from AWS"),
    "another JSON": (respond(200, b'{"error": "login"}', JSON), "(status 200) is not from AWS"),
    "an empty body": (respond(200, b"", JSON), "(status 200) is not from AWS"),
    "half of a JSON object": (respond(200, b'{"Parameter": {"Val', JSON, ID), "is incomplete or damaged"),
    "a shorter body than announced": (respond(200, b'{"a', JSON, ID, length=500), "is incomplete or damaged"),
    "a reset connection": (None, "AWS is unreachable"),
}


class Server:
    """A TCP server that sends the same bytes to every client, or resets the connection."""

    def __init__(self) -> None:
        self.response: bytes | None = b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, suppress(OSError):  # The client may close first, and the next one needs this thread.
                client.settimeout(5)
                client.recv(1 << 20)
                if self.response is None:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    client.sendall(self.response)
                    client.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.parametrize("command", COMMANDS if LONG else SAMPLE[:1], ids=str)
def test_another_server_than_aws_is_reported(command: Command, kind: str, world: World, server: Server) -> None:
    server.response, expected = RESPONSES[kind]
    found = world.run(command, url=f"http://{server.host}")
    assert (found.returncode, found.stderr.count("nightferry: Cannot ") + found.stderr.count("task: Cannot ")) == (
        126,
        1,
    )
    assert expected in found.stderr
    assert "Welcome" not in found.stderr
    if FOREIGN in expected:
        assert server.host in found.stderr


def test_tls_to_a_plain_port_is_reported(world: World, server: Server) -> None:
    server.response = respond(200, PAGE, HTML)
    found = world.run(SAMPLE[0], url=f"https://{server.host}")
    assert (found.returncode, "AWS is unreachable (SSLError)" in found.stderr) == (126, True), found


class Page:
    """A handler of botocore's event before-send: it records operations, and returns the page for one of them."""

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}
        self.operation = ""
        self.status = 200

    def __call__(self, event_name: str, request: Any, **_: object) -> AWSResponse | None:
        self.seen[event_name] = None
        if event_name != self.operation:
            return None
        raw: Any = BytesIO(PAGE)
        raw.stream = lambda: iter([PAGE])
        return AWSResponse(request.url, self.status, {"content-type": "text/html"}, raw)


@pytest.fixture
def page(world: World, monkeypatch: pytest.MonkeyPatch) -> Page:  # the world's handlers come first
    page = Page()
    monkeypatch.setattr(
        botocore.handlers, "BUILTIN_HANDLERS", [*botocore.handlers.BUILTIN_HANDLERS, ("before-send", page)]
    )
    return page


@pytest.mark.parametrize("command", COMMANDS if LONG else SAMPLE[:2], ids=str)
def test_a_page_instead_of_any_response_is_reported(command: Command, world: World, page: Page) -> None:
    world.run(command)
    operations = [(name, status) for name in page.seen for status in ((200, 403, 503) if LONG else (200,))]
    for operation, status in operations:
        page.operation, page.status = operation, status
        with interrupted_after(5):  # a command that follows a run waits until it is connected again
            found = world.run(command)
        # botocore changes the status of an error of S3 that comes with 200.
        seen = 500 if operation.startswith("before-send.s3.") and status == 200 else status
        assert f"(status {seen}) is not from AWS" in found.stderr + found.stdout, operation
        assert "Welcome" not in found.stderr + found.stdout
