"""The client against a real server that injects faults."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from paidleave.fineos.client.client import FineosClient
from paidleave.fineos.client.connections import MAX_RESPONSE_BYTES, Connections, HttpRequest
from paidleave.fineos.client.errors import (
    FineosAuthenticationFailed,
    FineosInvalidResponse,
    FineosRefused,
    FineosUnavailable,
    FineosUnprocessable,
    FineosValidationFailed,
)
from paidleave.fineos.client.messages import Party, ServiceAgreement
from paidleave.fineos.settings import FineosClientSettings

pytestmark = pytest.mark.sampled(8)

FEIN = "987654320"
NAME = "Unmistakable Widgets"
PARTY = Party(str(uuid4()), FEIN, NAME, "Widgets")
Result = TypeVar("Result")


def call_fineos(
    settings: FineosClientSettings, work: Callable[[FineosClient], Awaitable[Result]], in_flight: int = 4
) -> Result:
    async def run() -> Result:
        async with FineosClient(settings, in_flight) as fineos:
            return await work(fineos)

    return asyncio.run(run())


def test_an_employer_is_created_read_and_given_an_agreement(simulator: Any, client_settings: Any) -> None:
    async def work(fineos: FineosClient) -> None:
        assert await fineos.read_employer(FEIN) == []
        number = await fineos.create_or_update_party(PARTY)
        assert await fineos.create_or_update_party(PARTY) == number
        (found,) = await fineos.read_employer(FEIN)
        assert found.customer_number == number
        agreement = ServiceAgreement(True, True, ("MA PFML - Employee",))
        assert await fineos.set_service_agreement(number, agreement) == number

    call_fineos(client_settings(), work)
    (party,) = simulator.parties()
    assert (party["customer"], party["fein"], party["name"]) == (PARTY.employer_id, FEIN, NAME)
    assert party["agreement"]["plans"] == ["MA PFML - Employee"]
    assert party["updates"] == 1


@pytest.mark.parametrize(
    "fault",
    ["unavailable", "gateway_timeout", "rate_limited", "socket_timeout", "drop_before", "late_timeout", "drop_after"],
)
def test_a_transient_fault_is_retried_until_the_call_succeeds(simulator: Any, client_settings: Any, fault: str) -> None:
    async def work(fineos: FineosClient) -> int:
        await fineos.authenticate()
        simulator.faults(**{fault: 0.5})
        for _ in range(10):
            await fineos.create_or_update_party(PARTY)
        return fineos.retries

    retries = call_fineos(client_settings(fineos_client_attempts=20, fineos_client_backoff_limit=0.1), work)
    outcomes = simulator.state()["calls"]["UpdateOrCreateParty"]
    assert retries == outcomes[fault] > 0
    assert len(simulator.parties()) == 1


@pytest.mark.parametrize("fault", ["unavailable", "socket_timeout", "drop_before"])
def test_a_persistent_fault_fails_after_the_last_attempt(simulator: Any, client_settings: Any, fault: str) -> None:
    simulator.faults(**{fault: 1})
    with pytest.raises(FineosUnavailable):
        call_fineos(client_settings(fineos_client_attempts=3), lambda fineos: fineos.create_or_update_party(PARTY))
    assert simulator.state()["calls"] == {"UpdateOrCreateParty": {fault: 3}}


def test_a_lost_connection_of_a_read_is_one_attempt(simulator: Any, client_settings: Any) -> None:
    simulator.faults(drop_before=1)
    with pytest.raises(FineosUnavailable):
        call_fineos(client_settings(fineos_client_attempts=3), lambda fineos: fineos.read_employer(FEIN))
    assert simulator.state()["calls"] == {"ReadEmployer": {"drop_before": 3}}


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ({"server_error": 1}, FineosRefused),
        ({"garbage": 1}, FineosInvalidResponse),
        ({"status": {FEIN: 422}}, FineosUnprocessable),
        ({"refuse": {FEIN: f"{NAME} ({FEIN}) is not valid"}}, FineosValidationFailed),
    ],
)
def test_a_permanent_error_is_not_retried(
    simulator: Any, client_settings: Any, faults: dict[str, Any], error: type[Exception]
) -> None:
    simulator.faults(**faults)
    with pytest.raises(error):
        call_fineos(client_settings(), lambda fineos: fineos.create_or_update_party(PARTY))
    assert sum(simulator.state()["calls"]["UpdateOrCreateParty"].values()) == 1


def test_a_call_without_response_fails_at_the_read_timeout(simulator: Any, client_settings: Any) -> None:
    simulator.faults(hang=1, hang_seconds=20)
    started = time.monotonic()
    with pytest.raises(FineosUnavailable, match="ReadTimeout"):
        call_fineos(
            client_settings(fineos_client_read_timeout=0.2, fineos_client_attempts=2),
            lambda fineos: fineos.create_or_update_party(PARTY),
        )
    assert time.monotonic() - started < 10


def test_concurrent_calls_replace_an_expired_token_once(simulator: Any, client_settings: Any) -> None:
    async def work(fineos: FineosClient) -> int:
        await fineos.authenticate()
        simulator.expire_tokens()
        before = fineos.requests
        await asyncio.gather(*(fineos.read_employer(FEIN) for _ in range(4)))
        return fineos.requests - before

    requests = call_fineos(client_settings(), work)
    assert 5 <= requests <= 8
    assert simulator.state()["tokens_issued"] == 2


def test_a_token_is_renewed_before_it_expires(simulator: Any, client_settings: Any) -> None:
    simulator.stop()
    simulator.start("--token-lifetime", "1")

    async def work(fineos: FineosClient) -> None:
        await fineos.read_employer(FEIN)
        await asyncio.sleep(0.6)
        await fineos.read_employer(FEIN)

    call_fineos(client_settings(), work)
    assert simulator.state()["tokens_issued"] == 2
    assert simulator.state()["tokens_refused"] == 0


@pytest.mark.parametrize(
    "wrong", [{"fineos_client_oauth2_client_secret": "wrong"}, {"fineos_client_oauth2_client_id": "x"}]
)
def test_wrong_credentials_fail_immediately(simulator: Any, client_settings: Any, wrong: dict[str, str]) -> None:
    with pytest.raises(FineosAuthenticationFailed):
        call_fineos(client_settings(**wrong), lambda fineos: fineos.authenticate())


def test_a_temporarily_unavailable_token_endpoint_is_retried(simulator: Any, client_settings: Any) -> None:
    simulator.faults(token_unavailable=0.7)
    call_fineos(
        client_settings(fineos_client_attempts=20, fineos_client_backoff_limit=0.1),
        lambda fineos: fineos.authenticate(),
    )
    assert simulator.state()["tokens_issued"] == 1


def test_a_server_restart_loses_no_data(simulator: Any, client_settings: Any) -> None:
    async def work(fineos: FineosClient) -> None:
        number = await fineos.create_or_update_party(PARTY)
        simulator.stop(kill=True)
        simulator.start()
        assert await fineos.create_or_update_party(PARTY) == number

    call_fineos(client_settings(), work)
    assert len(simulator.parties()) == 1


def test_the_limit_of_concurrent_calls_is_respected(simulator: Any, client_settings: Any) -> None:
    simulator.faults(latency_ms=30)
    call_fineos(
        client_settings(), lambda fineos: asyncio.gather(*(fineos.read_employer(FEIN) for _ in range(40))), in_flight=6
    )
    assert simulator.state()["peak_in_flight"] == 6


@pytest.mark.parametrize(
    "faults", [{}, {"unavailable": 1}, {"drop_before": 1}, {"refuse": {FEIN: NAME}}, {"garbage": 1}]
)
def test_logs_and_errors_contain_no_personal_data(
    simulator: Any, client_settings: Any, caplog: pytest.LogCaptureFixture, faults: dict[str, Any]
) -> None:
    simulator.faults(**faults)

    async def work(fineos: FineosClient) -> list[BaseException | Any]:
        return await asyncio.gather(
            fineos.read_employer(FEIN), fineos.create_or_update_party(PARTY), return_exceptions=True
        )

    with caplog.at_level(logging.DEBUG):
        results = call_fineos(client_settings(fineos_client_attempts=2), work)
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    errors = " ".join(
        [*map(repr, results), *(repr(result.__cause__) for result in results if isinstance(result, Exception))]
    )
    for text in [errors if faults else "", *records, simulator.errors]:
        assert FEIN not in text
        assert NAME not in text
        assert "http://" not in text or FEIN not in text


def serve_fixed_response(response: bytes, requests: list[bytes] | None = None) -> Iterator[int]:
    """Run a server that sends the same bytes to every connection, and yield its port. Append to ``requests``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def run() -> None:
            while not ended.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    received = connection.recv(65536)
                    if requests is not None:
                        requests.append(received)
                    with suppress(ConnectionError):  # The client stops reading a response that is too large.
                        connection.sendall(response)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", FineosInvalidResponse),
        (
            b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{"access_token": "\xc3\xa9\xc3\xa9\xc3\xa9"}',
            FineosInvalidResponse,
        ),
        (
            b'HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n{"access_token": "abc", "token_type": "mac"}',
            FineosInvalidResponse,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000, FineosInvalidResponse),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", FineosUnavailable),
        (b"not http at all\r\n\r\n", FineosUnavailable),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", FineosAuthenticationFailed),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", FineosUnavailable),
    ],
)
def test_an_invalid_server_results_in_a_clear_error(
    simulator: Any, client_settings: Any, response: bytes, error: type[Exception]
) -> None:
    for port in serve_fixed_response(response):
        settings = client_settings(fineos_client_oauth2_url=f"http://127.0.0.1:{port}/token", fineos_client_attempts=1)
        with pytest.raises(error):
            call_fineos(settings, lambda fineos: fineos.authenticate())


@contextmanager
def serve_unfinished_response(start: bytes) -> Iterator[int]:
    """Run a server that accepts a connection, sends ``start`` and then nothing, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        accepted: list[socket.socket] = []

        def run() -> None:
            accepted.append(server.accept()[0])
            accepted[0].sendall(start)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()
            for connection in accepted:
                connection.close()


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na",
        b"HTTP/1.1 200 OK\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na",
    ],
    ids=["nothing", "interim", "headers", "body", "body without length", "chunk"],
)
def test_an_unfinished_response_fails_at_the_timeout(client_settings: Any, start: bytes) -> None:
    started = time.monotonic()
    with serve_unfinished_response(start) as port:
        settings = client_settings(
            fineos_client_wscomposer_api_url=f"http://127.0.0.1:{port}/",
            fineos_client_attempts=1,
            fineos_client_connect_timeout=0.5,
            fineos_client_read_timeout=0.2,
        )
        with pytest.raises(FineosUnavailable, match="ReadTimeout"):
            call_fineos(settings, lambda fineos: fineos.create_or_update_party(PARTY))
    assert time.monotonic() - started < 10


def test_a_response_that_never_ends_fails_at_the_sum_of_the_timeouts(client_settings: Any) -> None:
    """Each byte arrives within the read timeout."""

    async def respond(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        ended.set()

    async def run() -> None:
        async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
            connections = Connections(1)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(FineosUnavailable, match="ReadTimeout"):
                await connections.exchange("call", HttpRequest("GET", url, {}, None, 0.3, 0.5))
            await connections.close()
            await ended.wait()

    ended = asyncio.Event()
    started = time.monotonic()
    asyncio.run(run())
    assert 0.7 < time.monotonic() - started < 10


TOKEN = b'{"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}'


def format_response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers)
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TOKEN, "identity"),
        (gzip.compress(TOKEN, mtime=0), "gzip"),
        (gzip.compress(TOKEN, mtime=0), "GZIP"),
        (zlib.compress(TOKEN), "deflate"),
        (zlib.compress(TOKEN, wbits=-15), "deflate"),
    ],
    ids=["identity", "gzip", "capitals", "deflate", "raw deflate"],
)
def test_a_compressed_response_is_accepted(client_settings: Any, body: bytes, encoding: str) -> None:
    requests: list[bytes] = []
    for port in serve_fixed_response(format_response(body, f"Content-Encoding: {encoding}"), requests):
        settings = client_settings(fineos_client_oauth2_url=f"http://127.0.0.1:{port}/token", fineos_client_attempts=1)
        call_fineos(settings, lambda fineos: fineos.authenticate())
    (request,) = requests
    assert b"\r\naccept-encoding: gzip, deflate\r\n" in request.lower()
    assert b"\r\nuser-agent: " in request.lower()
    assert b"\r\ncontent-length: %d\r\n" % len("grant_type=client_credentials") in request.lower()  # no scope


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"{" + b" " * MAX_RESPONSE_BYTES + b"}", mtime=0),
        gzip.compress(TOKEN, mtime=0)[:-20],
        TOKEN,
        gzip.compress(b"[1, 2]", mtime=0),
    ],
    ids=["huge", "truncated", "not compressed", "no object"],
)
def test_an_invalid_or_huge_compressed_response_is_an_error(client_settings: Any, body: bytes) -> None:
    for port in serve_fixed_response(format_response(body, "Content-Encoding: gzip")):
        settings = client_settings(fineos_client_oauth2_url=f"http://127.0.0.1:{port}/token", fineos_client_attempts=1)
        with pytest.raises(FineosInvalidResponse):
            call_fineos(settings, lambda fineos: fineos.authenticate())


def test_a_response_that_is_compressed_repeatedly_is_not_decompressed(client_settings: Any) -> None:
    """Each level multiplies the size by up to 1,000: two levels of 4 kB are 4 GB."""
    body = gzip.compress(gzip.compress(b" " * (MAX_RESPONSE_BYTES // 4), mtime=0), mtime=0)
    assert len(body) < 5_000
    for port in serve_fixed_response(format_response(body, "Content-Encoding: gzip, gzip")):
        settings = client_settings(fineos_client_oauth2_url=f"http://127.0.0.1:{port}/token", fineos_client_attempts=1)
        with pytest.raises(FineosInvalidResponse, match="content encoding that was not requested"):
            call_fineos(settings, lambda fineos: fineos.authenticate())


def test_two_encodings_in_two_headers_are_not_decompressed(client_settings: Any) -> None:
    response = format_response(gzip.compress(TOKEN), "Content-Encoding: gzip", "Content-Encoding: gzip")
    for port in serve_fixed_response(response):
        settings = client_settings(fineos_client_oauth2_url=f"http://127.0.0.1:{port}/token", fineos_client_attempts=1)
        with pytest.raises(FineosInvalidResponse, match="content encoding that was not requested"):
            call_fineos(settings, lambda fineos: fineos.authenticate())


def test_cookies_are_not_sent_back(client_settings: Any) -> None:
    async def work(fineos: FineosClient) -> None:
        await fineos._token._fetch()
        await fineos._token._fetch()

    requests: list[bytes] = []
    for port in serve_fixed_response(format_response(TOKEN, "Set-Cookie: session=1; Path=/"), requests):
        call_fineos(client_settings(fineos_client_oauth2_url=f"http://127.0.0.1:{port}/token"), work)
    assert len(requests) == 2
    assert not any(b"\r\ncookie:" in request.lower() for request in requests)


def test_environment_variables_add_no_proxy(
    simulator: Any, client_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert call_fineos(client_settings(), lambda fineos: fineos.read_employer(FEIN)) == []


def test_environment_variables_add_no_certificate(
    client_settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    trusting = ssl.create_default_context()
    assert trusting.get_ca_certs()  # Python trusts the certificate by default.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def run() -> None:
            connection, _ = server.accept()
            with suppress(OSError), connection, context.wrap_socket(connection, server_side=True):
                ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        settings = client_settings(
            fineos_client_oauth2_url=f"https://localhost:{server.getsockname()[1]}/token", fineos_client_attempts=1
        )
        with pytest.raises(FineosUnavailable, match="Certificate"):
            call_fineos(settings, lambda fineos: fineos.authenticate())
        thread.join()
    assert not ended.is_set()


def write_certificate(folder: Path) -> Path:
    """Write a certificate for localhost, signed by itself, and its key to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, no_encryption = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_encryption)
    file = folder / "localhost.pem"
    file.write_bytes(private + certificate.public_bytes(encoding))
    return file


def test_a_chunk_that_expands_to_the_limit_is_decompressed_in_bounded_memory(client_settings: Any) -> None:
    body = gzip.compress(b" " * 6 * MAX_RESPONSE_BYTES, mtime=0)
    for port in serve_fixed_response(format_response(body, "Content-Encoding: gzip")):
        settings = client_settings(fineos_client_oauth2_url=f"http://127.0.0.1:{port}/token", fineos_client_attempts=1)
        tracemalloc.start()
        try:
            with pytest.raises(FineosInvalidResponse, match="more than"):
                call_fineos(settings, lambda fineos: fineos.authenticate())
            assert tracemalloc.get_traced_memory()[1] < 4 * MAX_RESPONSE_BYTES
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 0"], 0),
        (["Retry-After: 7"], 7),
        (["Retry-After: 1.5"], 1.5),
        (["Retry-After: Sun, 29 Nov 2026 12:00:09 GMT", "Date: Sun, 29 Nov 2026 12:00:00 GMT"], 9),
        (["Retry-After: Sunday, 29-Nov-26 12:00:09 GMT", "Date: Sun, 29 Nov 2026 12:00:00 GMT"], 9),
        (["Retry-After: Sun, 29 Nov 2026 11:00:00 GMT", "Date: Sun, 29 Nov 2026 12:00:00 GMT"], 0),
        (["Retry-After: Mon, 01 Jan 2001 00:00:00 GMT"], 0),
        (["Retry-After: soon"], None),
        (["Retry-After: -1"], None),
        (["Retry-After: 1e9"], None),
        (["Retry-After: Sun, 99 Nov 2026 12:00:09 GMT"], None),
        (["Retry-After: Sun, 29 Nov 2026 12:00:09 +99999999999999999999"], None),
        (["Retry-After: Sun, 29 Nov 2026 99999999999999999999:00:09 GMT"], None),
        ([], None),
    ],
)
@pytest.mark.parametrize("call", ["token", "composer"])
def test_the_wait_that_fineos_requests_is_read(
    client_settings: Any, headers: list[str], seconds: float | None, call: str
) -> None:
    response = format_response(b"", *headers, status="503 Unavailable")
    for port in serve_fixed_response(response):
        base = f"http://127.0.0.1:{port}/"
        changed = {"fineos_client_oauth2_url": base} if call == "token" else {"fineos_client_wscomposer_api_url": base}
        with pytest.raises(FineosUnavailable) as caught:
            call_fineos(client_settings(**changed, fineos_client_attempts=1), lambda fineos: fineos.read_employer(FEIN))
    assert caught.value.retry_after == seconds


def test_the_next_attempt_waits_as_long_as_fineos_requests(client_settings: Any) -> None:
    response = format_response(b"", "Retry-After: 0.4", status="429 Too Many Requests")
    for port in serve_fixed_response(response):
        settings = client_settings(
            fineos_client_oauth2_url=f"http://127.0.0.1:{port}/",
            fineos_client_attempts=2,
            fineos_client_backoff=0,
            fineos_client_backoff_limit=1,
        )
        started = time.monotonic()
        with pytest.raises(FineosUnavailable):
            call_fineos(settings, lambda fineos: fineos.authenticate())
        assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(
    "wrong",
    [
        {"fineos_client_wscomposer_api_url": "https://vendor.example.gov/wscomposer"},
        {"fineos_client_wscomposer_api_url": "http://vendor.example.gov/wscomposer/"},
        {"fineos_client_wscomposer_api_url": "https://user:pw@vendor.example.gov/wscomposer/"},
        {"fineos_client_oauth2_url": "ftp://vendor.example.gov/token"},
        {"fineos_client_oauth2_client_id": ""},
    ],
)
def test_invalid_settings_are_rejected(simulator: Any, client_settings: Any, wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        client_settings(**wrong)
    assert "pw@" not in str(caught.value)


def test_a_missing_address_is_an_error() -> None:
    with pytest.raises(ValidationError, match="fineos_client_wscomposer_api_url"):
        FineosClientSettings(
            fineos_client_oauth2_url="https://v.example/token",
            fineos_client_oauth2_client_id="a",
            fineos_client_oauth2_client_secret="b",  # type: ignore[arg-type] # pydantic makes it a SecretStr
        )


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [("3600", 3600), ('"3600"', 3600), ("59.5", 59.5), ("true", 300), ("-1", 300), ("null", 300)],
)
def test_a_tokens_lifetime_is_a_number_or_else_the_default(client_settings: Any, lifetime: str, seconds: float) -> None:
    body = b'{"access_token": "abc", "expires_in": %s}' % lifetime.encode()

    async def work(fineos: FineosClient) -> float:
        return (await fineos._token._fetch())[1]

    for port in serve_fixed_response(format_response(body)):
        settings = client_settings(fineos_client_oauth2_url=f"http://127.0.0.1:{port}/token", fineos_client_attempts=1)
        assert call_fineos(settings, work) == seconds
