"""Every record of an extract is a row or a rejected record, as a slow reading says; a broken file is refused."""

from __future__ import annotations

import csv
import io
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import examples
from paidleave.exchange.errors import RefusedFile
from paidleave.exchange.extract_file import Account, Rejected, header, rows

Row = tuple[str | None, ...]


def read(data: bytes) -> tuple[list[Row], list[Rejected], Account]:
    names = header(io.BytesIO(data))
    account, rejected = Account(), list[Rejected]()
    found: list[Row] = []
    for batch in rows(io.BytesIO(data), names, account, rejected.append):
        found += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    return found, sorted(rejected, key=lambda one: one.number), account


def slowly(data: bytes) -> tuple[list[Row], list[tuple[int, str]]]:
    """The same by Python's csv module, record by record."""
    text = data.decode("utf-8-sig", "surrogateescape")
    records = list(csv.reader(io.StringIO(text, newline="")))
    good: list[Row] = []
    bad = []
    for number, record in enumerate(records[1:], 2):
        if not any(record):
            bad.append((number, "no value" if len(record) in (0, len(records[0])) else "count"))
        elif len(record) != len(records[0]):
            bad.append((number, "count"))
        elif any("\udc80" <= character <= "\udcff" for field in record for character in field):
            bad.append((number, "not UTF-8"))
        else:
            good.append(tuple(field or None for field in record))
    return good, bad


def test_rows_are_text_and_what_is_no_row_is_told() -> None:
    data = b'\xef\xbb\xbfa,"b"\r\n1,"x\r\ny"\r\n\r\n3\r\n4,5,6\r\n"caf\xe9",7\r\n,\r\n"q""uote",\r\n007,1e3'
    found, rejected, account = read(data)
    assert found == [("1", "x\r\ny"), ('q"uote', None), ("007", "1e3")]
    assert [(one.number, one.reason) for one in rejected] == [
        (3, "no value"),
        (4, "too few fields"),
        (5, "too many fields"),
        (6, "not UTF-8"),
        (7, "no value"),
    ]
    assert [one.text for one in rejected] == [",", "3", "4,5,6", "caf\\xe9,7", ","]
    assert (account.records, account.rows) == (8, 3)


fields = st.text(st.sampled_from('ab1 ,"\n\r\té'), max_size=4)
records = st.lists(st.one_of(st.lists(fields, min_size=2, max_size=2), st.lists(fields, max_size=4)), max_size=12)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_csv_is_read_as_the_slow_reading_has_it(some: list[list[str]], end: str, ended: bool) -> None:
    quoting = csv.QUOTE_ALL if end == "\n" else csv.QUOTE_MINIMAL  # which would leave a bare \r before \n unquoted
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end, quoting=quoting).writerows([["a", "b"], *some])
    text = stream.getvalue()
    data = (text if ended else text.removesuffix(end)).encode()
    expected, bad = slowly(data)
    found, rejected, account = read(data)
    assert found == expected
    told = [(one.number, one.reason if one.reason == "no value" else "count") for one in rejected]
    assert told == bad
    assert account.records == len(expected) + len(bad)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([b"1,2", b"\xff,2", b"1,\xc3", b"1", b"", b"1,2,3", b'"\xfe\n",x']), max_size=15))
def test_bytes_that_are_no_text_are_rejected_in_their_places(lines: list[bytes]) -> None:
    data = b"a,b\n" + b"".join(line + b"\n" for line in lines)
    expected, bad = slowly(data)
    found, rejected, _ = read(data)
    assert found == expected
    assert Counter(one.number for one in rejected) == Counter(number for number, _ in bad)


def test_blocks_end_anywhere() -> None:
    """Larger than several blocks, with quotes, line ends and bad records all over it."""
    lines = []
    for number in range(200_000):
        lines.append(f'{number},"a ""quoted"" text with\nline ends and commas, {"x" * (number % 100)}"')
        if number % 1000 == 0:
            lines.append(f"{number}")
    data = ("n,t\n" + "\n".join(lines)).encode()
    found, rejected, account = read(data)
    assert (len(found), len(rejected), account.records) == (200_000, 200, 200_200)
    assert [row[0] for row in found] == [str(number) for number in range(200_000)]
    assert [one.text for one in rejected] == [str(number) for number in range(0, 200_000, 1000)]
    assert [one.number for one in rejected[:3]] == [3, 1004, 2005]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"\n1,2\n", "it is empty"),
        (b"a,,c\n", "no name for a column"),
        (b"a,b,A\n", "two columns have one name"),
        (b"a\xff,b\n", "the header is not UTF-8"),
        (b'a,b\n1,"2\n3,4\n', "its quotes are broken"),
        (b'a,b\n1,x"y\n3,4"\n', "its quotes are broken"),
        (b"a,b\n1," + b"x" * (20 << 20) + b"\n", "longer than 8 MB"),
        (b"\xff\xfea\0,\0b\0\n\0", "the header is not UTF-8"),
        (b"PK\x03\x04\xff\xff\x00\x00", "the header is not UTF-8"),
    ],
)
def test_a_file_that_is_no_extract_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RefusedFile, match=reason):
        read(data)


def test_a_file_of_its_header_only_has_no_rows() -> None:
    for data in (b"a,b\n", b"a,b"):
        assert read(data)[0] == []
