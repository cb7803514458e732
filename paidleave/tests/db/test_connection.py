"""The network connection to the server: verified certificates, and how soon a dead connection ends."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr, ValidationError

from nightferry.local.services.postgres import PORT, Postgres
from paidleave.db.connection import DatabaseUnreachable, connect
from paidleave.db.settings import DatabaseSettings

SSL_REQUEST = (80877103).to_bytes(4, "big")  # PostgreSQL protocol 3.0, message SSLRequest
# An ErrorResponse of protocol 3.0: severity, SQLSTATE and message.
_FIELDS = b"SFATAL\0C28000\0Mthe client accepted the certificate\0\0"
ANSWER = b"E" + (len(_FIELDS) + 4).to_bytes(4, "big") + _FIELDS


def make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Write a self-signed certificate for ``host``, a name or an address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    alternative = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return public, private


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Run a server that speaks TLS as 127.0.0.1 and then refuses; yield its port and its certificate."""
    certificate, key = make_certificate(tmp_path / "server", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer, args=(server, context), daemon=True).start()
        yield server.getsockname()[1], certificate


def _answer(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            if client.recv(1000)[4:8] != SSL_REQUEST:  # in 'local', libpq tries again without TLS
                client.sendall(ANSWER)
                continue
            client.sendall(b"S")
            try:
                with context.wrap_socket(client, server_side=True) as secured:
                    secured.recv(1000)
                    secured.sendall(ANSWER)
            except OSError:
                continue  # The client did not accept the certificate.


def make_settings(
    port: int, *, host: str = "127.0.0.1", ca_file: object = "", environment: str = "test"
) -> DatabaseSettings:
    return DatabaseSettings(
        environment=environment,
        db_host=host,
        db_port=port,
        db_name="postgres",
        db_username="postgres",
        db_password=SecretStr("secret words"),
        db_ca_file=str(ca_file),
    )


@pytest.mark.parametrize("environment", ["test", "local"])
def test_with_a_ca_file_certificate_and_host_name_are_verified(
    tls_server: tuple[int, Path], tmp_path: Path, environment: str
) -> None:
    port, certificate = tls_server
    other, _ = make_certificate(tmp_path / "other", "127.0.0.1")
    (tmp_path / "empty.pem").write_text("")
    for host, ca_file, expected in (
        ("127.0.0.1", "", "the client accepted the certificate"),
        ("127.0.0.1", certificate, "the client accepted the certificate"),
        ("127.0.0.1", other, "certificate verify failed. Check DB_HOST, and that DB_CA_FILE has the authority"),
        ("127.0.0.1", tmp_path / "empty.pem", "Check DB_HOST, and that DB_CA_FILE has"),
        ("localhost", certificate, 'does not match host name "localhost". Check DB_HOST, and that DB_CA_FILE'),
    ):
        with pytest.raises(DatabaseUnreachable) as refused:
            connect(make_settings(port, host=host, ca_file=ca_file, environment=environment))
        assert expected in str(refused.value)


def test_a_missing_ca_file_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="file not found"):
        make_settings(5432, ca_file=tmp_path / "missing.pem")


def test_a_dead_connection_ends_in_two_minutes(postgres_server: Postgres) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = threading.Thread(target=_relay, args=(server, postgres_server), daemon=True)
        relay.start()
        with (
            connect(make_settings(server.getsockname()[1], environment="local")) as connection,
            socket.socket(fileno=os.dup(connection.fileno())) as client,
        ):
            options = {
                name: client.getsockopt(level, getattr(socket, name))
                for level, name in (
                    (socket.SOL_SOCKET, "SO_KEEPALIVE"),
                    (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
                    (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
                    (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
                    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT"),
                )
            }
    relay.join(10)
    assert options == {
        "SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 120_000,
    }  # fmt: skip


def _relay(server: socket.socket, postgres: Postgres) -> None:
    """Pass one client's bytes to the server's Unix socket and back."""
    client, _ = server.accept()
    with client, socket.socket(socket.AF_UNIX) as target:
        target.connect(str(postgres.socket_directory / f".s.PGSQL.{PORT}"))
        threading.Thread(target=_copy, args=(client, target), daemon=True).start()
        _copy(target, client)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
