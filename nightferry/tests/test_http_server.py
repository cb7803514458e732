"""The limits of the web server, with real sockets: connections, and the time of a request and of its response."""

from __future__ import annotations

import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from nightferry import http_server
from nightferry.http_server import PortTaken, Server, choose_max_connections, listen
from tests.chaos.engines import until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LIMIT = 20
BIG = "a" * 20_000_000


async def respond(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("fine")


async def respond_much(_: Request) -> PlainTextResponse:
    return PlainTextResponse(BIG)


class Running:
    """A server in a thread."""

    def __init__(self) -> None:
        app = Starlette(routes=[Route("/", respond, methods=["GET", "POST"]), Route("/big", respond_much)])
        self.listener = listen("127.0.0.1", 0)
        self.server = Server(app, handle_signals=False, max_connections=LIMIT)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],), daemon=True)
        self.thread.start()
        until(lambda: self.server.started, "the server runs")

    def connect(self) -> socket.socket:
        connection = socket.create_connection(self.listener.getsockname(), timeout=20)
        self.opened.append(connection)
        return connection

    opened: list[socket.socket]

    @property
    def number(self) -> int:
        return len(self.server.server_state.connections)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(http_server, "_TICKS", 1)
    one = Running()
    one.opened = []
    yield one
    for connection in one.opened:
        connection.close()
    one.server.should_exit = True
    one.thread.join(10)


def is_closed(connection: socket.socket) -> bool:
    """Return True if the server closes the connection."""
    try:
        return not connection.recv(1)
    except ConnectionResetError:
        return True


def get(connection: socket.socket, request: bytes = GET) -> bytes:
    connection.sendall(request)
    return connection.recv(65536)


def test_the_body_of_a_response_does_not_wait_for_an_acknowledgment(running: Running) -> None:
    connection = running.connect()
    connection.sendall(GET)
    assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
    [served] = running.server.server_state.connections
    accepted = served.transport.get_extra_info("socket")  # type: ignore[union-attr]
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_idle_connections_are_closed_oldest_first(running: Running) -> None:
    used = running.connect()
    assert get(used).startswith(b"HTTP/1.1 200")
    oldest = running.connect()
    idle = [running.connect() for _ in range(10 * LIMIT)]
    assert is_closed(oldest)
    until(lambda: running.number <= LIMIT, "the number of sockets is limited")
    assert get(running.connect()).startswith(b"HTTP/1.1 200"), "a new client is served"
    assert not any(one.fileno() < 0 for one in idle)


def test_a_connection_with_a_request_is_not_closed_for_an_idle_one(running: Running) -> None:
    busy = running.connect()
    busy.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
    until(lambda: any(not one.is_idle for one in list(running.server.server_state.connections)), "it is handled")
    for _ in range(3 * LIMIT):
        running.connect()
    assert get(busy, b"b").startswith(b"HTTP/1.1 200")


def test_clients_that_do_not_complete_their_request_do_not_keep_others_out(running: Running) -> None:
    for _ in range(LIMIT):
        running.connect().sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")

    def all_wait() -> bool:
        connections = list(running.server.server_state.connections)
        return len(connections) == LIMIT and all(not one.is_idle and one.waits_since for one in connections)

    until(all_wait, "each connection waits for its client")
    for _ in range(3):
        assert get(running.connect()).startswith(b"HTTP/1.1 200")


def test_a_client_without_a_handshake_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setattr(http_server, "HANDSHAKE_SECONDS", 0.3)
    app = Starlette(routes=[Route("/", respond)])
    listener = listen("127.0.0.1", 0)
    server = Server(app, handle_signals=False, certificate=certificate, key=key)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    with socket.create_connection(listener.getsockname(), timeout=20) as silent:
        assert is_closed(silent)
    context = ssl.create_default_context(cafile=str(certificate))
    with context.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname="localhost") as client:
        assert get(client).startswith(b"HTTP/1.1 200")
    server.should_exit = True
    thread.join(10)
    listener.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for localhost and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@pytest.mark.parametrize(
    ("limit", "first", "then"),
    [
        ("HEAD_SECONDS", b"GET / HTTP/1.1\r\nHost: x\r\n", b"A"),
        ("HEAD_SECONDS", b"", b""),
        ("HEAD_SECONDS", GET + b"GET", b" "),  # a second request on the same connection
        ("BODY_SECONDS", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"a"),
    ],
)
def test_a_slow_request_is_ended(
    running: Running, monkeypatch: pytest.MonkeyPatch, limit: str, first: bytes, then: bytes
) -> None:
    monkeypatch.setattr(http_server, limit, 0.2)
    slow = running.connect()
    slow.sendall(first)
    end = time.monotonic() + 20
    while running.number and time.monotonic() < end:
        try:
            slow.sendall(then)  # byte after byte
        except OSError:
            break
        time.sleep(0.02)
    until(lambda: running.number == 0, "the connection is closed")


def test_a_client_that_reads_nothing_is_disconnected(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "STALL_SECONDS", 0.2)
    stalled = running.connect()
    stalled.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: running.number == 1, "it is connected")
    until(lambda: running.number == 0, "it is disconnected")


def test_too_long_headers_are_refused(running: Running) -> None:
    response = get(running.connect(), b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * http_server.MAX_HEAD_BYTES)
    assert response.startswith(b"HTTP/1.1 400")


def test_the_limit_is_well_below_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: Callable[[int], object] = lambda soft: lambda _: (soft, 4096)  # noqa: E731
    for soft, expected in ((1024, 200), (256, 64), (16, 8), (resource.RLIM_INFINITY, 200)):
        monkeypatch.setattr(resource, "getrlimit", limits(soft))
        assert choose_max_connections() == expected


def test_a_port_in_use_is_reported() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(PortTaken, match="Choose another port with --port"):
        listen("127.0.0.1", taken.getsockname()[1])
