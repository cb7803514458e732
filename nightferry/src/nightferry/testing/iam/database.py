"""A PostgreSQL server that authenticates like Amazon RDS: with passwords, and with IAM tokens for members of rds_iam.

It stands in front of a server that trusts every local connection. A token is valid if the role that signed it may
``rds-db:connect`` as the user (RDS User Guide, "IAM database authentication").
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote

_SSL_REQUEST = 80877103  # PostgreSQL documentation, "Message Formats"
_CLEARTEXT_PASSWORD = struct.pack("!cII", b"R", 8, 3)
_SQLSTATE = "28P01"  # invalid_password

CheckToken = Callable[[str, str], bool]
"""Return True if the access key's role may connect as the user."""


class RdsServer:
    """A server on a port of this machine.

    ``socket_path`` is the Unix socket of the server behind it. ``passwords`` are those of users; all others need a
    token.
    """

    def __init__(self, folder: Path, socket_path: str, passwords: Mapping[str, str], check: CheckToken) -> None:
        self._target = socket_path
        self._passwords = dict(passwords)
        self._check = check
        certificate = _make_certificate(folder)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Accept no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError), connection:
            code, _ = _read_startup(connection)
            if code != _SSL_REQUEST:
                return  # RDS for these users requires TLS
            connection.sendall(b"S")
            with self._tls.wrap_socket(connection, server_side=True) as client:
                self._authenticate(client)

    def _authenticate(self, client: ssl.SSLSocket) -> None:
        _, startup = _read_startup(client)
        words = startup.split(b"\0")
        user = dict(zip(words[::2], words[1::2], strict=False))[b"user"].decode()
        client.sendall(_CLEARTEXT_PASSWORD)
        _read_exactly(client, 1)
        (length,) = struct.unpack("!I", _read_exactly(client, 4))
        password = _read_exactly(client, length - 4).rstrip(b"\0").decode()
        if not self._accepts(user, password):
            client.sendall(_make_error(f'PAM authentication failed for user "{user}"'))
            return
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self._target)
            server.sendall(struct.pack("!II", len(startup) + 8, 196608) + startup)
            backward = threading.Thread(target=_copy, args=(server, client), daemon=True)
            backward.start()
            _copy(client, server)
            backward.join()

    def _accepts(self, user: str, password: str) -> bool:
        if user in self._passwords:
            return password == self._passwords[user]
        query = parse_qs(password.partition("?")[2])
        credential = re.fullmatch(r"([^/]+)/\d+/[^/]+/rds-db/aws4_request", query.get("X-Amz-Credential", [""])[0])
        if credential is None or query.get("Action") != ["connect"] or query.get("DBUser") != [user]:
            return False
        return self._check(unquote(credential[1]), user)


def _read_startup(connection: socket.socket) -> tuple[int, bytes]:
    length, code = struct.unpack("!II", _read_exactly(connection, 8))
    return code, _read_exactly(connection, length - 8)


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise ConnectionResetError
        content += part
    return content


def _make_error(message: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C{_SQLSTATE}\0M{message}\0\0".encode()
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _make_certificate(folder: Path) -> Path:
    """Write a self-signed certificate with its key, and return the file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rds")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    file = folder / "rds.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
