"""Readers of the tools for operators: SQL, results, keys, and the packets of an SFTP server."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from nightferry.testing.fuzzing import NOTHING, Parser, from_json, from_text
from nightferry.testing.fuzzing.parser import Form
from paidleave.operations import exports, sql_text
from paidleave.operations.query import Column, QueryResult
from paidleave.operations.sftp import host_keys, packets, private_key
from paidleave.operations.sftp.client import Client
from paidleave.operations.sftp.errors import ProtocolViolated, RequestRejected, SftpFailed

_SQL = (
    "SELECT a, 'Quixworth''s' FROM b WHERE c = $1 AND d = 612345678; -- x\nVALUES (1), (2);",
    "WITH \"x y\" AS (SELECT $q$a;b$q$, E'\\n', U&'\\0041') TABLE x /* /* ; */ */",
    "SELECT '{\"a\": 1}'::jsonb -> 'a', ARRAY[1,2][1] ; ; SELECT 1.5e3",
)


def _split_sql(text: str) -> Any:
    statements = sql_text.split(text)
    for statement in statements[:1] + statements[-1:]:
        shown = sql_text.format_position(text, statement.start + len(statement.text) // 2)
        assert shown
    return statements


def _mask(text: str) -> Any:
    masked = sql_text.mask_literals(text)
    assert len(masked) == len(text), "a character is lost"
    return masked


def _export(value: Any) -> Any:
    """Write rows of texts, as PostgreSQL returns them, in each format."""
    rows = (
        [
            tuple(None if cell is None else str(cell).encode("utf-8", "replace").decode() for cell in row[:2])
            for row in value
            if isinstance(row, list) and len(row) > 1
        ]
        if isinstance(value, list)
        else []
    )
    for write in (exports.write_csv, exports.write_json, exports.write_parquet):
        result = QueryResult((Column("a", "text"), Column("a", "text")), iter([rows] if rows else []))
        list(write(result, io.BytesIO()))
    return rows or NOTHING


class _Server:
    """A channel that sends the given bytes."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def send(self, data: bytes, /) -> int:
        """Ignore a request."""
        return len(data)

    def recv(self, size: int, /) -> bytes:
        return self._stream.read(min(size, 50))


def _talk(data: bytes) -> Any:
    client = Client(_Server(data))
    entries = list(zip(client.list_folder("/in"), range(10_000), strict=False))
    size = sum(map(len, client.read("/in/a")))
    return entries, size, client.describe("/in/a")


def _read_attributes(data: bytes) -> Any:
    fields = packets.Fields(data)
    fields.read_bytes()
    attributes = fields.read_attributes()
    return attributes.is_folder, attributes.may_be_file, fields.read_text()


def _packet(kind: int, number: int | None, *fields: bytes) -> bytes:
    body = bytes([kind]) + (b"" if number is None else struct.pack(">I", number)) + b"".join(fields)
    return struct.pack(">I", len(body)) + body


def _conversations() -> list[bytes]:
    """Return what a server sends for a list of a folder, a file of 5 bytes, and its attributes."""
    attributes = struct.pack(">IQII", 5, 5, 0o100644, 0)[:16]
    end = struct.pack(">I", 1) + packets.pack(b"end") + packets.pack(b"")
    fine = struct.pack(">I", 0) + packets.pack(b"") + packets.pack(b"")
    name = packets.pack("é".encode()) + packets.pack(b"-rw") + attributes
    parts = [
        _packet(2, None, struct.pack(">I", 3)),
        _packet(102, 1, packets.pack(b"h")),
        _packet(104, 2, struct.pack(">I", 1), name),
        _packet(101, 3, end),
        _packet(101, 4, fine),
        _packet(102, 5, packets.pack(b"g")),
        _packet(103, 6, packets.pack(b"hello")),
    ]
    return [b"".join(parts) + b"".join(_packet(101, number, end) for number in range(7, 41)), b"".join(parts[:5])]


def _attributes() -> list[bytes]:
    extended = struct.pack(">I", 1) + packets.pack(b"x@y") + packets.pack(b"z")
    return [packets.pack(b"n") + struct.pack(">IQIIIII", 0x8000000F, 5, 1, 1, 0o100644, 1, 2) + extended]


@cache
def _keys() -> tuple[bytes, ...]:
    ed25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return (
        ed25519.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        ed25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        b"-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\n",
    )


def _host_keys() -> list[bytes]:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    text = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    hashed = b"|1|kRjDgmMBGnKBnUQYHCNJyVfDAQM=|q9oTBFzCcKXvLLZqXTxWbK1rF1I= "
    return [
        b"sftp.example.com,10.0.0.1 " + text + b"\n# x\n[other]:22 " + text,
        text + b" comment\n",
        hashed + text + b"\n*.example.com,!x " + text,
    ]


def _parse_host_keys(text: str) -> Any:
    return host_keys.parse_host_keys(text, "sftp.example.com", 22)


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


PARSERS = [
    Parser(
        "SQL, split",
        from_text(_split_sql),
        _texts(*_SQL),
        (sql_text.IncompleteSql,),
        (sql_text,),
        weight=6,
        words=(b"$q$", b"$$", b"'", b'"', b"--", b"/*", b"*/", b";", b"E'\\'", b"U&'", b"B'1'", b"x'f'", b"\\"),
    ),
    Parser("SQL, masked", from_text(_mask), _texts(*_SQL), (), (sql_text.mask_literals, sql_text._tokenize), weight=6),
    Parser(
        "rows of a result",
        from_json(_export),
        _texts('[["a", "=1+1"], ["\\"q\\"", null], ["", "é,\\n"]]'),
        (),
        (exports,),
        Form.JSON,
        weight=1,
        memory=128 << 20,
    ),
    Parser(
        "packets of an SFTP server",
        _talk,
        _conversations,
        (RequestRejected, ProtocolViolated, EOFError),
        (Client._receive, Client._expect, Client.list_folder, Client.read, packets),
        weight=10,
    ),
    Parser("attributes of a remote file", _read_attributes, _attributes, (ProtocolViolated,), (packets,), weight=20),
    Parser(
        "SFTP_HOST_KEY",
        from_text(_parse_host_keys),
        _host_keys,
        (SftpFailed,),
        (host_keys,),
        weight=10,
        words=(b"@revoked ", b"@cert-authority ", b"|1|", b"!", b"*", b"ssh-ed25519 ", b"[", b"]:22 "),
    ),
    Parser(
        "SFTP_PRIVATE_KEY",
        from_text(lambda text: private_key.load_private_key(text, "p")),
        lambda: _keys()[:2],
        (SftpFailed,),
        (private_key,),
        weight=3,
        personal=("AAAAB", "b3BlbnNzaC1rZXktdjEAAAAA"),
        words=(
            b"-----BEGIN RSA PRIVATE KEY-----\n",
            b"-----END OPENSSH PRIVATE KEY-----\n",
            b"Proc-Type: 4,ENCRYPTED\n",
        ),
    ),
]
