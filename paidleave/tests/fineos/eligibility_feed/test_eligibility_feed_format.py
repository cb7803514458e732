"""The format of the files: header, names, bundles, rows from the database's messages, phone numbers."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paidleave.fineos.eligibility_feed.feed_format import (
    COLUMNS,
    build_header,
    format_file_name,
    get_bundle_folder,
    select_bundle,
)
from paidleave.fineos.eligibility_feed.phone import split_phone
from paidleave.fineos.eligibility_feed.rows import PART_ROWS, RowCountMismatch, split_parts
from tests.fineos.eligibility_feed.feed_reference import HEADER


def test_the_columns_are_the_67_of_the_vendor_in_order() -> None:
    assert list(COLUMNS) == HEADER
    assert len(COLUMNS) == 67


def test_the_first_three_lines_end_with_lf_and_the_column_names_with_crlf() -> None:
    lines = build_header(1234, 5).split(b"\n")
    assert lines[:3] == [b"EMPLOYER_ID:1234", b"NUMBER_OF_RECORDS:5", b"@DATABLOCK"]
    assert lines[3] == ",".join(HEADER).encode() + b"\r"
    assert lines[4:] == [b""]


def test_a_file_name_contains_the_time_in_utc() -> None:
    boston = timezone(timedelta(hours=-5))
    assert format_file_name(datetime(2021, 12, 31, 23, 5, 9, 999_999, tzinfo=boston), 77) == "20220101T040509_77.csv"
    assert format_file_name(datetime(2022, 1, 1, 4, 5, 9, tzinfo=UTC), 77) == "20220101T040509_77.csv"


def test_the_folder_of_the_first_bundle_has_no_number() -> None:
    assert get_bundle_folder(1) == ("absence-eligibility", "upload")
    assert get_bundle_folder(12) == ("absence-eligibility12", "upload")


@pytest.mark.parametrize(
    ("employers", "index", "expected"),
    [
        *((12_000, 0, 1), (12_000, 999, 1), (12_000, 1000, 2), (12_000, 2000, 3), (12_000, 11_999, 12)),
        *((250_000, 23_636, 2), (250_000, 23_637, 3), (250_000, 249_999, 12)),
    ],
)
def test_bundles_match_the_vendors_examples(employers: int, index: int, expected: int) -> None:
    assert select_bundle(index, employers, 12) == expected


def test_a_single_bundle_contains_all_employers() -> None:
    assert {select_bundle(index, 5000, 1) for index in range(5000)} == {1}


def test_an_index_out_of_range_is_an_error() -> None:
    with pytest.raises(IndexError, match="index 10 is out of range for 10 employers"):
        select_bundle(10, 10, 12)


@given(st.integers(1, 20_000), st.integers(1, 20))
def test_bundles_are_filled_in_order_and_the_later_ones_evenly(employers: int, bundles: int) -> None:
    used = [select_bundle(index, employers, bundles) for index in range(employers)]
    assert used == sorted(used)
    assert set(used) <= set(range(1, bundles + 1))
    sizes = [used.count(number) for number in range(2, max(used) + 1)]
    assert not sizes or max(sizes[:-1], default=sizes[0]) == sizes[0] >= sizes[-1]


def message(employer: int, records: int, telephone: str, cell: str, *fields: str) -> bytes:
    """Build a row as PostgreSQL's COPY sends it."""
    text = io.StringIO(newline="")
    # csv quotes CR only if the line terminator contains it.
    csv.writer(text).writerow([employer, records, telephone, cell, *fields])
    return text.getvalue().removesuffix("\r\n").encode() + b"\n"


def blank(**filled: str) -> list[str]:
    return [filled.get(name, "") for name in COLUMNS]


def test_rows_are_split_by_employer() -> None:
    messages = [message(7, 2, "", "", "a", "b"), message(7, 2, "", "", "c", 'x"y\n'), message(77, 1, "", "", "d", "e")]
    found = list(split_parts(messages))
    assert [(part.fineos_employer_id, part.records, part.rows) for part in found] == [
        (7, 2, b'a,b\r\nc,"x""y\n"\r\n'),
        (77, 1, b"d,e\r\n"),
    ]
    assert all(part.first and part.last for part in found)


def test_a_large_employer_is_split_into_parts() -> None:
    count = 2 * PART_ROWS + 1
    found = list(split_parts(message(7, count, "", "", str(n)) for n in range(count)))
    assert [(part.first, part.last, part.rows.count(b"\r\n")) for part in found] == [
        (True, False, PART_ROWS),
        (False, False, PART_ROWS),
        (False, True, 1),
    ]
    assert b"".join(part.rows for part in found) == b"".join(b"%d\r\n" % n for n in range(count))


@pytest.mark.parametrize("count", [1, 3])
def test_fewer_rows_than_announced_are_an_error(count: int) -> None:
    messages = [message(7, 4, "", "", "a")] * count
    with pytest.raises(RowCountMismatch, match=f"{4 - count} of 4 rows are missing for employer 7"):
        list(split_parts(messages))
    with pytest.raises(RowCountMismatch, match=f"{4 - count} of 4 rows are missing for employer 7"):
        list(split_parts([*messages, message(8, 1, "", "", "b")]))


def test_phones_that_the_database_did_not_split_are_split_and_the_others_are_retained() -> None:
    split = blank(cellIntCode="1", cellAreaCode="617", cellNumber="5550123", employeeEmail='"a,b"@example.org')
    (part,) = split_parts([message(7, 1, "+442071838750", "", *split)])
    assert dict(zip(COLUMNS, next(csv.reader([part.rows.decode()])), strict=True)) == dict(
        zip(COLUMNS, split, strict=True)
    ) | {"telephoneIntCode": "44", "telephoneNumber": "2071838750"}


texts = st.text(st.sampled_from("ab,\"\r\n \\\té𝒳\u2028;'0"), max_size=8)


@given(st.lists(texts, min_size=67, max_size=67), st.sampled_from(["", "+390612345678", "nonsense, not a number"]))
def test_the_slow_path_writes_every_field_like_the_fast_path(fields: list[str], telephone: str) -> None:
    (fast,) = split_parts([message(7, 1, "", "", *fields)])
    (slow,) = split_parts([message(7, 1, telephone, "", *fields)])
    at = COLUMNS.index("telephoneIntCode")
    expected = [*fields[:at], "39", "", "0612345678", *fields[at + 3 :]] if telephone.startswith("+") else fields
    assert next(csv.reader(io.StringIO(fast.rows.decode(), newline=""))) == fields
    line = io.StringIO(newline="")
    csv.writer(line).writerow(expected)
    assert slow.rows == line.getvalue().encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+16175550123", ("1", "617", "5550123")),
        ("+442071838750", ("44", "", "2071838750")),
        ("+390612345678", ("39", "", "0612345678")),  # the zero belongs to the number
        ("+112", ("1", "12", "")),
        ("6175550123", ("", "", "")),
        ("call me", ("", "", "")),
        ("+999123", ("", "", "")),
        ("", ("", "", "")),
        (None, ("", "", "")),
    ],
)
def test_phones_are_split_into_the_parts_of_fineos(text: str | None, expected: tuple[str, str, str]) -> None:
    assert split_phone(text) == expected


@given(st.from_regex(r"\+1[2-9][0-9]{9}", fullmatch=True))
def test_the_library_splits_numbers_like_the_database(text: str) -> None:
    assert split_phone(text) == ("1", text[2:5], text[5:])
    assert str(phonenumbers.parse(text).national_number) == text[2:]
