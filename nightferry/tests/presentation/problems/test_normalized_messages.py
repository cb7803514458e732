"""Normalization of messages: equal causes become equal, different ones stay different."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.presentation.problems.normalized_messages import EXAMINED, normalize_message
from nightferry.testing.tiers import examples


@pytest.mark.parametrize(
    ("first", "second", "normalized"),
    [
        ("Row 17 of 2,041 is invalid", "Row 8 of 9 is invalid", "Row N of N is invalid"),
        ("File 'a.csv' not found", "File \"b 2.csv\" not found", "File '…' not found"),
        ("lock held since 2026-11-01T05:30:00Z", "lock held since 2026-12-24 01:02:03,123 +01:00",
         "lock held since TIME"),
        ("run 0f3a4b5c6d7e8f90 failed", "run 6f1c2a34-90ab-cdef-1234-567890abcdef failed", "run ID failed"),
        ("cannot read s3://in/2026/a.csv: gone", "cannot read file:///tmp/x%20y: gone", "cannot read LOCATION: gone"),
        ("at 0xAB12 after 3.5 s (99.5%)", "at 0x1 after -12 s (7%)", "at ID after N s (N%)"),
        ("open /tmp/run-12/part3: no such file", "open /tmp/run-9/part: no such file", None),
        ("two\n  lines 1", "two lines 2", "two lines N"),
        ("took 1:05", "took 12:59:01", "took TIME"),
        ("arn:aws:iam::123456789012:role/a may not", "arn:aws-us-gov:iam::1:role/b may not", "ARN may not"),
    ],
)  # fmt: skip
def test_messages_of_one_cause_are_equal(first: str, second: str, normalized: str | None) -> None:
    if normalized is not None:
        assert (normalize_message(first), normalize_message(second)) == (normalized, normalized)
    else:
        assert normalize_message(first) == "open /tmp/N/N: no such file" != normalize_message(second)


@pytest.mark.parametrize(
    "messages",
    [
        ("the server returned HTTP 404", "the server returned HTTP 503"),
        ("status code: 500", "status code: 429"),
        ("ended with exit code 1", "ended with exit code 137"),
        ("duplicate key (SQLSTATE 23505)", "duplicate key (SQLSTATE 23503)"),
        ("don't panic, it's on", "don't panic, it's off"),
    ],
)
def test_numbers_that_name_an_error_and_words_stay(messages: tuple[str, str]) -> None:
    first, second = map(normalize_message, messages)
    assert first != second


@settings(max_examples=examples(30))
@given(
    st.integers(0),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.datetimes(),
    st.uuids(),
    st.text(st.characters(exclude_characters="'\n", exclude_categories=["Z", "C"]), min_size=1, max_size=100),
)
def test_what_differs_from_run_to_run_does_not_count(
    row: int, share: Decimal, time: datetime, id: UUID, name: str
) -> None:
    message = f"Row {row} ({share:f}) of '{name}' in {id} at {time.isoformat(' ')} is invalid"
    assert normalize_message(message) == "Row N (N) of '…' in ID at TIME is invalid"


@settings(max_examples=examples(20))
@given(st.text(max_size=400))
def test_any_message_becomes_one_short_line(message: str) -> None:
    normalized = normalize_message(message)
    assert len(normalized) <= 302
    assert len(normalized.splitlines()) <= 1


@pytest.mark.parametrize("text", ["'" * 50_000, "0" * 50_000, "a1" * 30_000, "1:" * 30_000, "1," * 30_000 + "x"])
def test_hostile_messages_take_no_time(text: str) -> None:
    assert len(normalize_message(text)) <= 302
    assert normalize_message(text) == normalize_message(text[:EXAMINED])
