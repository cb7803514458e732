"""Identifying numbers are masked in every notation, and numbers of similar formats stay readable."""

from __future__ import annotations

import re
import unicodedata
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
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
    "│ 123 │ 45 │ 6789 │\n│ 12345 │ 6789 │",
    "999000000.5",
    "ip-10-11-12-134",
    "ip-10-11-12-134.ec2.internal",
    "192.168.100.200",
    "10.11.12.134:5432",
    "10.0.100.20:5432 refused",
    "5 of 250,000 rows, 123,456,789 in all",
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


# Forms of an SSN with other digits, separators, brackets, blanks, line ends and characters without width.
SSN_FORMS = [
    "123456789.0",
    "123456789.00",
    "-123456789.0",
    "1.23456789e8",
    "1.23456789E+08",
    "123.45.6789",
    "123:45:6789",
    "123,45,6789",
    "123|45|6789",
    "123*45*6789",
    "123~45~6789",
    "123\\45\\6789",
    "(123)-45-6789",
    "(123) 45 6789",
    "[123][45][6789]",
    "123-(45)-6789",
    "{123}-{45}-{6789}",
    "123     45      6789",
    "123-45-\n6789",
    "123\r\n45\r\n6789",
    "12345\n6789",
    "123\t45\t6789",
    "123\u200b45\u200b6789",
    "1\u200b2\u200b3\u200b4\u200b5\u200b6\u200b7\u200b8\u200b9",
    "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",
    "\uff11\uff12\uff13\uff0d\uff14\uff15\uff0d\uff16\uff17\uff18\uff19",
    "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669",
    "\u0967\u0968\u0969-\u096a\u096b-\u096c\u096d\u096e\u096f",
    "123\u201145\u20116789",
    "123\u201245\u20146789",
    "123\u221245\u22126789",
    "123\ufe6345\uff0d6789",
    "123\u30fb45\u30fb6789",
    "123\xb745\xb76789",
    "123\u202245\u20226789",
    "123%2D45%2D6789",
    "123%E2%80%9345%E2%80%936789",
    "123&#45;45&#45;6789",
    "123&nbsp;45&nbsp;6789",
    "123\\u201345\\u20136789",
    "123\\n45\\n6789",
    "123\\t45\\t6789",
    "1\ufe0f2\ufe0f3\ufe0f4\ufe0f5\ufe0f6\ufe0f7\ufe0f8\ufe0f9\ufe0f",
    "\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467\u2468",
    "\U0001d7cf\U0001d7d0\U0001d7d1\U0001d7d2\U0001d7d3\U0001d7d4\U0001d7d5\U0001d7d6\U0001d7d7",
    "1.2.3.4.5.6.7.8.9",
    "1/2/3/4/5/6/7/8/9",
    "123\xad45\xad6789",
    "\u202e987654321\u202c",
    "123 . 45 . 6789",
    "123 / 45 / 6789",
    "123-45-6789.0",
    "ssn:123456789,",
    "'123','45','6789'",
    "123--45--6789",
    "123_-_45_-_6789",
    "x123456789x",
    "123 45\u3000 6789",
    "123= 45 =6789",
    "1 2 3 4 5 6 7 8 9",
    "123-456-789",
    "12-345-6789",
    "12345-6789",
]


@pytest.mark.parametrize("form", SSN_FORMS, ids=ascii)
def test_an_ssn_is_masked_in_each_form(form: str) -> None:
    for text in (form, f"of {form} it", f"({form})"):
        masked = mask_numbers(text)
        assert "*********" in masked
        assert sum(unicodedata.digit(character, None) is not None for character in masked) < 4


@given(
    digits=st.lists(st.characters(categories=["Nd"]), min_size=9, max_size=9),
    gaps=st.lists(
        st.text(st.characters(categories=["Pd", "Ps", "Pe", "Po", "Zs", "Zl", "Cf"]), min_size=1, max_size=6),
        min_size=2,
        max_size=2,
    ),
)
def test_an_ssn_is_masked_with_any_digits_and_separators(digits: list[str], gaps: list[str]) -> None:
    one, two, three = "".join(digits[:3]), "".join(digits[3:5]), "".join(digits[5:])
    for text in ("".join(digits), f"{one}{gaps[0]}{two}{gaps[1]}{three}"):
        masked = mask_numbers(f"of {text} it")
        assert masked == "of ********* it"


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


@given(st.uuids(version=4))
def test_the_id_of_every_run_stays_readable(value: uuid.UUID) -> None:
    text = f"/prod/runs/{value.hex}/stop"
    assume(any(letter in value.hex for letter in "abcdef"))
    assert mask_numbers(text) == text


@given(st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1)), st.integers(0, 2**32 - 1))
def test_the_id_of_every_execution_stays_readable(time: datetime, number: int) -> None:
    text = f"nightly-{time:%Y%m%dT%H%M%S}-{number:08x}"
    assert mask_numbers(text) == text


@pytest.mark.parametrize(
    "text", ["20261130T203000-533404912", "nightly-20261350T203000-533f4049", "20261130T203000-533-40-4912"]
)
def test_what_only_resembles_the_id_of_an_execution_is_masked(text: str) -> None:
    assert "*" in mask_numbers(text)


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
