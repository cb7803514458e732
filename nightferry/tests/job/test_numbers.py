"""Identifying numbers are masked in every notation, and numbers of similar formats stay readable."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightferry.job.redaction.numbers import mask_numbers

# The test cases of the old system, and the notations that it missed.
MASKED = [
    ("999-00-0000", "*********"),
    ("9-990-00000", "*********"),
    ("999000000", "*********"),
    ("test=999000000.", "test=*********."),
    ("test=999000000,", "test=*********,"),
    ("999 00 0000", "*********"),
    ("99-9000000", "*********"),
    ("99 9000000", "*********"),
    ("999.00.0000", "*********"),
    ("999/00/0000", "*********"),
    ("999_00_0000", "*********"),
    ("999 - 00 - 0000", "*********"),
    ("999–00–0000", "*********"),
    ("999\u00a000\u00a00000", "*********"),
    ("999%2D00%2D0000", "*********"),
    ("999+00+0000", "*********"),
    ("9-9-9-0-0-0-0-0-0", "*********"),
    ("ssn-999-00-0000", "ssn-*********"),
    ("SSN999000000", "SSN*********"),
    ("file_999000000.txt", "file_*********.txt"),
    ("999000000.20211124", "*********.20211124"),
    ("line 5 999 00 0000 7", "line 5 ********* 7"),
    ("999000000-888000000", "*********-*********"),
    ("abcdefab999000000", "abcdefab*********"),
    ("B20200930999000000", "B************"),
    ("account 12345678901234567", "account ************"),
    ("617-555-1234", "***-***-****"),
    ("(617) 555-1234", "***-***-****"),
]
READABLE = [
    "999000000.5",
    "ip-10-11-12-134",
    "ip-10-11-12-134.ec2.internal",
    "192.168.100.200",
    "10.11.12.134:5432",
    "0.123456789",
    "1732415424.123456",
    "2026-11-24T02:30:24.123456+00:00",
    "2026-11-24 02:30:24",
    "2026-11-24 5 files",
    "2020-10-12-13-20-00-absence-eligibility",
    "DORDFML_20200519120622",
    "arn:aws:iam::123456789012:role/vendor",
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/api",
    "0x7f1234567890",
    "9fb41c62123456789de0a7b35f8e2c10",
    "12345678 lines, 100000 created",
    "10737418240 bytes",
    "5c6ffbdd40d9556b73a21e63c3e0e904d2b3c55a7b1f0a2b6d1e4c8f9a0b1c2d",
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_an_identifying_number_is_masked(text: str, expected: str) -> None:
    assert mask_numbers(text) == expected


@pytest.mark.parametrize("text", READABLE)
def test_a_number_of_a_similar_format_stays_readable(text: str) -> None:
    assert mask_numbers(text) == text


DIGITS = st.text("0123456789", min_size=9, max_size=9)
BETWEEN = st.sampled_from(["", "", "", "-", " ", "–", " - ", "\u00a0"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["N", "P", "S", "Z", "C"]), max_size=8)
AROUND = st.sampled_from(["", " ", "'", '"', "(", ")", ", ", ":", "=", "\n", "[", "]", "{", "}", "<", ">", "|", "/"])


@given(digits=DIGITS, between=st.lists(BETWEEN, min_size=8, max_size=8), before=AROUND, after=AROUND, word=WORDS)
def test_nine_digits_are_masked_in_any_grouping_and_position(
    digits: str, between: list[str], before: str, after: str, word: str
) -> None:
    written = digits[0] + "".join(gap + digit for gap, digit in zip(between, digits[1:], strict=True))
    if re.match(r"(?:19|20)\d\d-\d\d-\d\d \d$", written):
        return  # a date followed by a small number
    masked = mask_numbers(f"{word}{before}{written}{after}{word}")
    assert written not in masked
    assert digits not in re.sub(r"\D", "", masked)


@given(st.uuids())
def test_every_uuid_stays_readable(value: uuid.UUID) -> None:
    for text in (str(value), f"run {value} ended", f"id={value},"):
        assert mask_numbers(text) == text


@given(st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2099, 12, 31)))
def test_every_time_stamp_stays_readable(moment: datetime) -> None:
    for text in (moment.isoformat(), moment.replace(tzinfo=UTC).isoformat(), f"{moment:%Y%m%d%H%M%S}", str(moment)):
        assert mask_numbers(text) == text


@given(st.text())
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert mask_numbers(mask_numbers(text)) == mask_numbers(text)
