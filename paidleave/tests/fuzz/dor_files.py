"""Readers of DOR's files, of their encryption, and of their names."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from nightferry.testing.fuzzing import NOTHING, Parser, from_text
from paidleave import text_stream
from paidleave.dor.encryption import armor, failure_cause, openpgp, validity
from paidleave.dor.files import columns, formats, line, reader, returning_csv
from paidleave.dor.files.formats import Layout
from paidleave.dor.files.line import IncompleteFile
from paidleave.dor.generate import files, private_plans
from paidleave.dor.generate.files import Population
from paidleave.dor.generate.writing import WriteOptions
from paidleave.dor.importing import rejected_lines, unread
from paidleave.dor.importing.rejected_lines import RejectedLines
from paidleave.dor.kinds.response_lines import ResponseLines
from paidleave.file_limits import BoundedStream, LimitExceeded, limit_size
from paidleave.text_stream import TextStream, UnusableText

NAME = "Zebulonia Quixworth"
SSN = "612345678"
_ERRORS = (IncompleteFile, UnusableText, LimitExceeded)


def _stream(data: bytes, layout: Layout) -> TextStream:
    widths = [format.width for format in layout.formats]
    return TextStream(BoundedStream(io.BytesIO(data), limit_size(1)), widths)


def _read_file(layout: Layout, screen: Callable[[Any], Any] = lambda batch: batch) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        records = lines = 0
        for batch in reader.read(_stream(data, layout), layout, block_bytes=4096):
            screen(batch)
            batch.select_originals(batch.rejects)
            found = sum(frame.height for frame in batch.records.values())
            assert found + batch.rejects.height == batch.lines, "a line is lost"
            records, lines = records + found, lines + batch.lines
        return records or NOTHING

    return read


def _read_responses(data: bytes) -> Any:
    screening = ResponseLines(reject_implausible_ssns=True)
    return _read_file(formats.RESPONSE_FILE, screening.screen)(data)


def _read_csv(data: bytes) -> Any:
    stream = TextStream(BoundedStream(io.BytesIO(data), limit_size(1)))
    return sum(batch.lines for batch in returning_csv.read(stream)) or NOTHING


def _read_text(data: bytes) -> Any:
    stream = TextStream(io.BytesIO(data))
    found = b"".join(iter(lambda: stream.read(7 + len(data) // 50), b""))
    assert len(found) <= len(data)
    return found or NOTHING


def _select_open(data: bytes) -> Any:
    stored = pl.DataFrame({"line_number": [2, 3, 7], "is_open": [True, False, True]})
    lines = RejectedLines(stored)
    source = lines.select_open(io.BytesIO(data))
    batches = reader.read(source, formats.WAGE_FILE)
    return sum(lines.drop_separators(batch).lines for batch in lines.renumber(batches))


def _parse_framing(data: bytes) -> Any:
    framing = openpgp.Framing()
    for start in range(0, len(data), 500):
        framing.feed(data[start : start + 500])
    properties = (
        framing.is_truncated,
        framing.has_trailing_data,
        framing.has_second_message,
        framing.is_unsupported,
        framing.is_aead,
        framing.is_unprotected,
    )
    return (framing.content is not openpgp.Content.OTHER and properties) or NOTHING


def _find_cause(data: bytes) -> Any:
    file = Path("status")
    file.write_bytes(data)
    status = failure_cause.read_status_lines(file)
    causes = []
    for message in (*_messages(), b"text"):
        framing = openpgp.Framing()
        framing.feed(message)
        causes += [
            failure_cause.find_cause(code, status, framing, signers) for code in (0, 2) for signers in ([], ["F"])
        ]
    return failure_cause.is_signed(status), causes


def _read_periods(data: bytes) -> Any:
    keys: Any = SimpleNamespace(run=lambda *_: data)
    return validity.read_periods(keys, b"") or NOTHING


def _find_reason(name: str) -> Any:
    for layouts in ((formats.EMPLOYER_FILE, formats.WAGE_FILE), (formats.RETURNING_CSV,)):
        unread.find_reason(name, layouts)
    return [layout.parse_time(name) for layout in unread.DOR_LAYOUTS if layout.matches(name)] or NOTHING


def _write(write: Callable[..., object], *options: WriteOptions) -> list[bytes]:
    found = []
    for each in options or (WriteOptions(), WriteOptions(bad_share=0.5, duplicate_share=0.3, crlf=True)):
        stream = io.BytesIO()
        write(stream, Population(employers=4, seed=3, non_ascii_every=2), each)
        found.append(b"".join(stream.getvalue().splitlines(keepends=True)[:12]))
    return found


def _with_person(lines: Iterable[bytes]) -> list[bytes]:
    """Return the files with a name and an SSN that occur in no message of the program."""
    return [data.replace(data[12 : 12 + len(NAME)], NAME.encode()).replace(data[40:49], SSN.encode()) for data in lines]


@cache
def _seeds(name: str) -> tuple[bytes, ...]:
    write = {
        "employers": files.write_employer_file,
        "wages": files.write_wage_file,
        "exempt": private_plans.write_exempt_file,
        "responses": private_plans.write_response_file,
    }[name]
    options = [] if name in ("employers", "wages") else [WriteOptions(), WriteOptions(crlf=True)]
    found = _write(write, *options)
    return (*found, *_with_person(found))


def _make_csv() -> list[bytes]:
    header = ",".join(returning_csv.COLUMNS) + ",Name\r\n"
    rows = f'123456789,Yes,No,1/31/2026,4/1/2026,"{NAME}, Inc."\r\n987654321,No,Yes,,12/31/2026,"two\nlines"\r\n'
    return [(header + rows).encode(), (header.replace("FEIN", "'FEIN'") + rows + ",,,,,\r\n").encode()]


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, len(body)]) + body


def _messages() -> list[bytes]:
    session = _packet(1, b"\x03" + bytes(8) + b"\x01" + bytes(20))
    data = b"\xd2\xe8" + b"\x01" + bytes(255) + b"\x14" + bytes(20)
    message = session + data
    armored = b"text\n-----BEGIN PGP MESSAGE-----\nVersion: 1\n\n" + base64.encodebytes(message)
    key = _packet(6, b"\x04" + bytes(20)) + _packet(2, b"\x04\x20" + bytes(20)) + _packet(14, b"\x04" + bytes(20))
    return [message, armored + b"=abcd\n-----END PGP MESSAGE-----\n", _packet(3, b"\x04\x09" + bytes(9)) + data, key]


_STATUS = b"""[GNUPG:] ENC_TO 0123456789ABCDEF 1 0
[GNUPG:] BEGIN_DECRYPTION
[GNUPG:] DECRYPTION_INFO 2 9
[GNUPG:] PLAINTEXT 62 1795000000 name
[GNUPG:] NEWSIG
[GNUPG:] GOODSIG 0123 name
[GNUPG:] VALIDSIG F 2026-11-24 1795000000 0 4 0 1 10 00 F
[GNUPG:] DECRYPTION_OKAY
[GNUPG:] GOODMDC
[GNUPG:] ERROR pkdecrypt_failed 11
[GNUPG:] NODATA 1
[GNUPG:] END_DECRYPTION
"""
_KEYS = b"""pub:u:4096:1:0123456789ABCDEF:1700000000:1900000000::u:::scESC::::::23::0:
fpr:::::::::0123456789ABCDEF0123456789ABCDEF01234567:
sub:r:4096:1:FEDCBA9876543210:1700000000:::::: e::::::23:
fpr:::::::::FEDCBA9876543210FEDCBA9876543210FEDCBA98:
"""
_READER = (reader, columns, line)
_PERSONAL = (NAME, "Quixworth", SSN)


def _file_parser(
    name: str, read: Callable[[bytes], Any], seeds: str, weight: float, *covers: type[ResponseLines]
) -> Parser:
    """Return the entry of a kind of file. Reading one takes longer than other parsers, so few mutations are tried."""
    return Parser(
        name,
        read,
        lambda: _seeds(seeds),
        _ERRORS,
        (*_READER, *covers),
        personal=_PERSONAL,
        weight=weight,
        cpu=4,
        memory=128 << 20,
    )


PARSERS = [
    _file_parser("employer file", _read_file(formats.EMPLOYER_FILE), "employers", 1),
    _file_parser("wage file", _read_file(formats.WAGE_FILE), "wages", 1),
    _file_parser("exempt file", _read_file(formats.EXEMPT_FILE), "exempt", 0.7),
    _file_parser("pending filing response", _read_responses, "responses", 0.7, ResponseLines),
    Parser(
        "CSV of returning employers",
        _read_csv,
        _make_csv,
        (returning_csv.CsvUnusable, UnusableText, LimitExceeded),
        (returning_csv,),
        personal=_PERSONAL,
        words=(b'"', b"'FEIN'", b",,,", b"1/31/2026"),
        weight=6,
    ),
    Parser(
        "marks around a text",
        _read_text,
        lambda: [b"\xef\xbb\xbfab\r\ncd\r\n\x1a", b"a\nb\x1a\x1a\r\n", b"a" * 70 + b"\n\x1a" * 3],
        (UnusableText,),
        (text_stream,),
        weight=20,
        garbage=(b"",),
    ),
    Parser(
        "lines to replay",
        _select_open,
        lambda: [b"".join(_seeds("wages")[0].splitlines(keepends=True)[:3])],
        (rejected_lines.JobFailed, IncompleteFile),
        (RejectedLines, rejected_lines._split_lines, rejected_lines._Source, rejected_lines._renumber),
        weight=1,
        cpu=4,
        memory=128 << 20,
    ),
    Parser(
        "packets of OpenPGP",
        _parse_framing,
        _messages,
        (),
        (openpgp.Framing, armor),
        weight=30,
        words=(
            b"-----BEGIN PGP MESSAGE-----\n\n",
            b"-----END PGP MESSAGE-----\n",
            b"\xff\xff\xff\xff\xff",
            b"\xe0\xfe",
            b"=",
        ),
    ),
    Parser("status lines of gpg", _find_cause, lambda: [_STATUS], (), (failure_cause,), weight=10, disk=256 * 1024),
    Parser(
        "list of keys by gpg",
        _read_periods,
        lambda: [_KEYS],
        (validity.DecryptionFailed,),
        (validity.read_periods, validity._read_time),
        weight=10,
    ),
    Parser(
        "name of a received file",
        from_text(_find_reason),
        lambda: [b"DORDFMLEMP_20261124120000", b"DORDUADFML_20261124120000"],
        (),
        (unread.find_reason, unread._find_nearest, unread._find_differences, Layout),
        weight=20,
        max_bytes=1024,
        words=(b"folder/", b".filepart", b".gz", b" "),
    ),
]
