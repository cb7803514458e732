"""Readers of FINEOS's responses and extracts, and of the files that are exchanged with it."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nightferry.testing.fuzzing import NOTHING, Parser, from_json, from_text
from paidleave import csv_lines
from paidleave.exchange import cps_errors, extract_file, file_names, selection, warehouse
from paidleave.exchange.errors import RefusedFile
from paidleave.exchange.extract_file import ExtractLimits, RecordCounts
from paidleave.file_limits import BoundedStream, LimitExceeded, RejectLimits, limit_size
from paidleave.fineos.client import client, connections, errors, responses
from paidleave.fineos.eligibility_feed import phone
from paidleave.fineos.employee_updates import phones, update_file
from paidleave.fineos.organization_units import administrator_file
from paidleave.fineos.simulator import document, feed_schema, feeds, message_schema
from paidleave.text_stream import TextStream, UnusableText
from tests.fineos import vendor_schemas
from tests.fineos.client.test_messages import FEIN, build_read_response, build_update_response
from tests.fineos.employee_updates.test_employee_updates_limits import LOOKUPS

NAME = "Zebulonia Quixworth"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def _read_response(body: bytes) -> Any:
    return responses.parse_employers(body, FEIN)


def _read_update(body: bytes) -> Any:
    return responses.parse_update(body, "UpdateOrCreateParty", "CUSTOMER_NUMBER")


def _decompress(encoding: str) -> Callable[[bytes], Any]:
    return lambda raw: connections._decompress("Read", raw, encoding)


def _read_headers(text: str) -> Any:
    value, _, date = text.partition("\n")
    return client._parse_retry_after({"Retry-After": value, "Date": date})


def _stream(data: bytes) -> TextStream:
    return TextStream(BoundedStream(io.BytesIO(data), limit_size(1)))


def _read_updates(data: bytes) -> Any:
    return sum(batch.staged.height for batch in update_file.read_batches(_stream(data), LOOKUPS)) or NOTHING


def _read_administrators(data: bytes) -> Any:
    return len(list(administrator_file.AdministratorRows(_stream(data), 1000).read_assignments())) or NOTHING


def _read_extract(data: bytes) -> Any:
    names = extract_file.read_header(io.BytesIO(data))
    counts = RecordCounts()
    limits = ExtractLimits(len(data), 1, RejectLimits(0.9, 1000, 1000, "S", "_rejected", "Request it"))
    rows = extract_file.read_rows(io.BytesIO(data), names, limits, counts, lambda _: None)
    found = 0
    for batch in rows:
        found += batch.num_rows
        for text in batch.column(0).to_pylist():
            cps_errors.classify_error(text)
    assert found == counts.rows
    return found or NOTHING


def _read_name(name: str) -> Any:
    problem = selection.find_name_problem(name)
    if problem:
        return NOTHING
    found = file_names.find_date(name, NOW), file_names.find_timestamp(name, NOW), file_names.strip_timestamp(name)
    stored: Any = type("Stored", (), {"name": f"{name}.csv", "modified": NOW})()
    return found, warehouse.Destination.from_file(stored).build_uri("s3://b/w", "", ".parquet")


def _combine(value: Any) -> Any:
    texts = [None if text is None else str(text) for text in (value if isinstance(value, list) else [value] * 3)]
    return phones.combine_phone(*(texts + [None] * 3)[:3])


def _read_document(body: bytes) -> Any:
    found = document.read(body)
    return message_schema.validate(found, "PARTY") if found.name == "x" else found


def _read_feed(content: bytes) -> Any:
    rows = list(feeds._parse_records(feeds._parse_preamble(content)[2]))
    return [feed_schema.find_invalid_column(row) for row in rows] or NOTHING


def _replies() -> list[bytes]:
    unit = vendor_schemas.build_unit("PE:2:2", NAME, "PE:3:3")
    whole = vendor_schemas.build_organization({"GroupClient": "true", "FinancialYearEnd": "nil"}, unit)
    return [build_read_response(whole), build_read_response("<additional-data-set/>")]


def _updates() -> list[bytes]:
    known = build_update_response(SERVICE_RESPONSE_CODE="200", CUSTOMER_NUMBER="1234")
    return [known, build_update_response(VALIDATION_MESSAGE=f"The name {NAME} is too long for 612345678")]


def _update_files() -> list[bytes]:
    header = ",".join(update_file.COLUMNS)
    cells = dict.fromkeys(update_file.COLUMNS, "") | {
        "EMPLOYEEIDENTIFIER": "0b0e39b8-6d55-4a34-b7a1-3c1f3e3ef55c",
        "EMPLOYEEDATEOFBIRTH": "1980-02-29 00:00:00",
        "EMPLOYEENATIONALID": "612345678",
        "EMPLOYEEFIRSTNAME": "Zebulonia",
        "EMPLOYEELASTNAME": "Quixworth",
        "TELEPHONEINTCODE": "1",
        "TELEPHONEAREACODE": "617",
        "TELEPHONENUMBER": "5550123",
        "CUSTOMERNO": "501",
        "EMPLOYEEHOURSWORKEDPERWEEK": "37.5",
        "EMPLOYEEGENDER": "Unknown",
    }
    row = ",".join(f'"{text}"' if text else "" for text in cells.values())
    return [f"{header}\r\n{row}\r\n{row}\r\n".encode(), f"\ufeff{header}\n{row}\n".encode()]


def _bomb(wrap: Callable[[bytes], bytes]) -> tuple[bytes, ...]:
    return (b"x", wrap(b" " * (60 << 20)))


_XML_WORDS = (
    b'<!DOCTYPE a [<!ENTITY b "c">]>',
    b"&b;",
    b"&lt;",
    b"&#0;",
    b"&#x10FFFF;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?x y?>",
    b'xsi:nil="true"',
    b'<?xml version="1.0" encoding="utf-16"?>',
    b'<!ENTITY % d SYSTEM "file:///etc/passwd">',
    b'<xi:include href="file:///etc/passwd"/>',
    b'xmlns="urn:x"',
)
_CSV_WORDS = (b'"', b'""', b'",', b',"', b"\r", b"\x00", b",,")
_ADMINISTRATORS = (
    b'USERENABLED,FEIN,EMAIL,ORGUNIT_NAME,OTHER\r\n1,12-3456789,zebulonia@quixworth.example,"Unit, A",x\r\n'
    b"0,123456789,b@x.example,B,\r\n"
)
_EXTRACT = (
    'CASENUMBER,"ERROR TEXT",NAME\r\nNTN-1,E-100,"Quixworth, Zebulonia"\r\nNTN-2,"The name Quixworth is too long",'
    '"two\nlines"\r\nNTN-3,,é\r\n'
).encode()
_FEED_LINES = b"EMPLOYER_ID:77\nNUMBER_OF_RECORDS:0\n@DATABLOCK\n"
_PERSONAL = ("Zebulonia", "Quixworth", "612345678")
_INVALID = (errors.FineosInvalidResponse, errors.FineosValidationFailed)
PARSERS = [
    Parser(
        "FINEOS's employer",
        _read_response,
        _replies,
        _INVALID,
        (responses,),
        words=_XML_WORDS,
        personal=_PERSONAL,
        weight=4,
    ),
    Parser(
        "FINEOS's response to an update",
        _read_update,
        _updates,
        _INVALID,
        (responses.parse_update, responses._parse, errors.redact_vendor_text),
        words=_XML_WORDS,
        personal=_PERSONAL,
        weight=10,
    ),
    Parser(
        "FINEOS's body in gzip",
        _decompress("gzip"),
        lambda: [gzip.compress(body, mtime=0) for body in _updates()],
        _INVALID,
        (connections._decompress,),
        weight=10,
        garbage=_bomb(lambda data: gzip.compress(data, mtime=0)),
    ),
    Parser(
        "FINEOS's body in deflate",
        _decompress("deflate"),
        lambda: [zlib.compress(body) for body in _updates()],
        _INVALID,
        (connections._decompress,),
        weight=10,
        garbage=_bomb(zlib.compress),
    ),
    Parser(
        "FINEOS's headers",
        from_text(_read_headers),
        lambda: [b"120\nWed, 21 Oct 2026 07:28:00 GMT", b"Wed, 21 Oct 2026 07:28:00 GMT"],
        (),
        (client._parse_retry_after, client._parse_seconds, client._parse_http_date),
        weight=10,
    ),
    Parser(
        "FINEOS's token",
        client._parse_json,
        lambda: [b'{"access_token": "t", "expires_in": 3600}'],
        (),
        (client._parse_json,),
        weight=10,
    ),
    Parser(
        "employee updates",
        _read_updates,
        _update_files,
        (update_file.MalformedFile, UnusableText, LimitExceeded),
        (update_file, csv_lines),
        words=_CSV_WORDS,
        personal=_PERSONAL,
        weight=1,
        cpu=4,
        memory=128 << 20,
    ),
    Parser(
        "leave administrators",
        _read_administrators,
        lambda: [_ADMINISTRATORS],
        (administrator_file.MalformedFile, UnusableText, LimitExceeded),
        (administrator_file, csv_lines),
        words=_CSV_WORDS,
        personal=("quixworth",),
        weight=10,
    ),
    Parser(
        "FINEOS's extract",
        _read_extract,
        lambda: [_EXTRACT, b"a,b\n1,2\n3,4\n"],
        (RefusedFile,),
        (extract_file, cps_errors.classify_error),
        words=_CSV_WORDS,
        personal=_PERSONAL,
        weight=3,
        cpu=4,
        memory=256 << 20,
        # pyarrow ignores its own error for a row of another length that is not UTF-8, and then refuses the file.
        ignored=(UnicodeDecodeError,),
    ),
    Parser(
        "column of errors",
        from_json(lambda value: cps_errors._find_kind_column(list(map(str, value)) if isinstance(value, list) else [])),
        lambda: [b'["CASENUMBER", "ERROR MESSAGE"]'],
        (RefusedFile,),
        (cps_errors._find_kind_column,),
        garbage=(b"[]",),
    ),
    Parser(
        "name of an extract",
        from_text(_read_name),
        lambda: ["2026-01-05-20-00-00-VBI_CASE é".encode(), b"2026-02-29/a/b"],
        (),
        (file_names, selection.find_name_problem, warehouse.Destination),
        weight=20,
        max_bytes=1024,
    ),
    Parser(
        "telephone number of the API",
        from_text(phone.split_phone.__wrapped__),
        lambda: [b"+16175550123", b"+390612345678"],
        (),
        (phone.split_phone,),
        weight=10,
    ),
    Parser(
        "telephone number of FINEOS",
        from_json(_combine),
        lambda: [b'["1", "617", "5550123"]', b'[null, "6", "1"]'],
        (),
        (phones.combine_phone,),
        weight=10,
    ),
    Parser(
        "request to the simulator",
        _read_document,
        lambda: [*_replies(), *_updates()],
        (document.MalformedDocument, message_schema.InvalidMessage),
        (document,),
        words=_XML_WORDS,
        weight=6,
    ),
    Parser(
        "feed in the simulator",
        _read_feed,
        lambda: [
            _FEED_LINES + ",".join(feeds.COLUMNS).encode() + b"\r\n"
            if hasattr(feeds, "COLUMNS")
            else _FEED_LINES + b"a\r\n"
        ],
        (feeds.FeedRejected,),
        (feeds._parse_preamble, feeds._parse_records),
        weight=6,
    ),
]
