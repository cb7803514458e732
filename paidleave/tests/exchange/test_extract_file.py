"""Every record of an extract is a row or a rejected record, like in a simple reference reader; broken files fail."""

from __future__ import annotations

import csv
import io
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import examples
from paidleave.exchange.errors import RefusedFile
from paidleave.exchange.extract_file import (
    COLUMN_LIMIT,
    RecordCounts,
    RejectedRecord,
    build_limits,
    read_header,
    read_rows,
)
from paidleave.job_settings import FileLimitSettings

Row = tuple[str | None, ...]


class NoLimits(FileLimitSettings):
    rejected_line_limit: int = 1_000_000


def read(data: bytes, share: float = 1, **limits: int) -> tuple[list[Row], list[RejectedRecord], RecordCounts]:
    names = read_header(io.BytesIO(data))
    all_limits = build_limits(NoLimits(**limits), len(data), share, "SHARE_LIMIT")
    counts, rejected = RecordCounts(), list[RejectedRecord]()
    found: list[Row] = []
    for batch in read_rows(io.BytesIO(data), names, all_limits, counts, rejected.append):
        found += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    return found, sorted(rejected, key=lambda record: record.number), counts


def read_with_csv_module(data: bytes) -> tuple[list[Row], list[tuple[int, str]]]:
    """Read the same data record by record with Python's csv module, as the reference."""
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


def test_rows_are_text_and_rejected_records_have_their_reasons() -> None:
    data = b'\xef\xbb\xbfa,"b"\r\n1,"x\r\ny"\r\n\r\n3\r\n4,5,6\r\n"caf\xe9",7\r\n,\r\n"q""uote",\r\n007,1e3'
    found, rejected, counts = read(data)
    assert found == [("1", "x\r\ny"), ('q"uote', None), ("007", "1e3")]
    assert [(one.number, one.reason) for one in rejected] == [
        (3, "no value"),
        (4, "too few fields"),
        (5, "too many fields"),
        (6, "not UTF-8"),
        (7, "no value"),
    ]
    assert [one.text for one in rejected] == [",", "3", "4,5,6", "caf\\xe9,7", ","]
    assert (counts.records, counts.rows) == (8, 3)


fields = st.text(st.sampled_from('ab1 ,"\n\r\té'), max_size=4)
records = st.lists(st.one_of(st.lists(fields, min_size=2, max_size=2), st.lists(fields, max_size=4)), max_size=12)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_csv_is_read_like_the_csv_module_reads_it(some: list[list[str]], end: str, has_last_end: bool) -> None:
    # With "\n" as the line end, QUOTE_MINIMAL would leave a bare "\r" unquoted.
    quoting = csv.QUOTE_ALL if end == "\n" else csv.QUOTE_MINIMAL
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end, quoting=quoting).writerows([["a", "b"], *some])
    text = stream.getvalue()
    data = (text if has_last_end else text.removesuffix(end)).encode()
    expected, bad = read_with_csv_module(data)
    found, rejected, counts = read(data)
    assert found == expected
    reasons = [(one.number, one.reason if one.reason == "no value" else "count") for one in rejected]
    assert reasons == bad
    assert counts.records == len(expected) + len(bad)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([b"1,2", b"\xff,2", b"1,\xc3", b"1", b"", b"1,2,3", b'"\xfe\n",x']), max_size=15))
def test_records_that_are_not_utf8_are_rejected_with_their_numbers(lines: list[bytes]) -> None:
    data = b"a,b\n" + b"".join(line + b"\n" for line in lines)
    expected, bad = read_with_csv_module(data)
    found, rejected, _ = read(data)
    assert found == expected
    assert Counter(one.number for one in rejected) == Counter(number for number, _ in bad)


def test_blocks_can_end_anywhere_in_a_record() -> None:
    """Read a file of several blocks, with quotes, line ends and bad records throughout."""
    lines = []
    for number in range(200_000):
        lines.append(f'{number},"a ""quoted"" text with\nline ends and commas, {"x" * (number % 100)}"')
        if number % 1000 == 0:
            lines.append(f"{number}")
    data = ("n,t\n" + "\n".join(lines)).encode()
    found, rejected, counts = read(data)
    assert (len(found), len(rejected), counts.records) == (200_000, 200, 200_200)
    assert [row[0] for row in found] == [str(number) for number in range(200_000)]
    assert [one.text for one in rejected] == [str(number) for number in range(0, 200_000, 1000)]
    assert [one.number for one in rejected[:3]] == [3, 1004, 2005]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"\n1,2\n", "it is empty"),
        (b"a,,c\n", "a column in the header has no name"),
        (b"a,b,A\n", "two columns have the same name"),
        (b"a\xff,b\n", "the header is not UTF-8"),
        (b'a,b\n1,"2\n3,4\n', "its quotes are unbalanced"),
        (b'a,b\n1,x"y\n3,4"\n', "its quotes are unbalanced"),
        (b"a,b\n1," + b"x" * (20 << 20) + b"\n", "longer than 8 MB"),
        (b"\xff\xfea\0,\0b\0\n\0", "it is in UTF-16"),
        (b"PK\x03\x04\xff\xff\x00\x00", "the header is not UTF-8"),
    ],
)
def test_a_file_that_is_not_an_extract_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RefusedFile, match=reason):
        read(data)


def test_a_file_with_only_a_header_has_no_rows() -> None:
    for data in (b"a,b\n", b"a,b"):
        assert read(data)[0] == []


@pytest.mark.parametrize(
    ("data", "limits", "words"),
    [
        (b"a,b\n" + b"1,2\n" * 300_000, {"file_size_limit_mb": 1}, "it has more than 1 MB"),
        (b"a,b\n1,2\n" + b"1\n" * 4, {"rejected_line_limit": 3}, "more than 3 records were rejected"),
        (b"a,b\n1,2\n" + b"\xff,1\n" * 4, {"rejected_line_limit": 3}, "more than 3 records were rejected"),
        (b"a,b\n1,2\n" + b"\n" * 4, {"blank_line_limit": 3}, "more than 3 lines are blank"),
        (b"a\n1\n" + b"\n" * 4, {"blank_line_limit": 3}, "more than 3 lines are blank"),
        (b"a,b\n1,2\n" + b"\n" * 300_000, {"rejected_line_limit": 10_001}, "more than 10,000 lines are blank"),
        (b"a,b\n1,2\n" + b"1\n" * 300_000, {"rejected_line_limit": 1_000}, "more than 1,000 records were rejected"),
    ],
)
def test_limits_refuse_a_file(data: bytes, limits: dict[str, int], words: str) -> None:
    with pytest.raises(RefusedFile, match=words):
        read(data, **limits)


def test_share_refuses_a_file_before_its_end() -> None:
    """After the first block, the rest of the file has room for too few valid records."""
    data = b"a,b\n" + b"1\n" * 20_000 + b"1,2\n" * 10
    with pytest.raises(RefusedFile, match=r"more than the allowed share of 5.00%.*SHARE_LIMIT"):
        read(data, share=0.05)
    assert read(data, share=1)[2].rejected.total() == 20_000


def test_columns_are_limited() -> None:
    with pytest.raises(RefusedFile, match="more than 2000 columns"):
        read_header(io.BytesIO(",".join(f"c{number}" for number in range(COLUMN_LIMIT + 1)).encode()))


@pytest.mark.parametrize(("data", "words"), [(b"a,b\r1,2\r", "CR only"), ("a,b\n".encode("utf-16"), "UTF-16")])
def test_other_texts_are_named(data: bytes, words: str) -> None:
    with pytest.raises(RefusedFile, match=words):
        read(data)


def test_marks_are_skipped() -> None:
    rows, rejected, _ = read(b"\xef\xbb\xbfa,b\n1,2\n\x1a")
    assert (rows, rejected) == ([("1", "2")], [])
