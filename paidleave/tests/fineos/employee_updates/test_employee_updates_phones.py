"""Conversion of FINEOS's telephone numbers of three parts to one E.164 text."""

from __future__ import annotations

import random

import phonenumbers
import polars as pl
import pytest

from nightferry.testing.tiers import LONG
from paidleave.fineos.eligibility_feed.phone import split_phone
from paidleave.fineos.employee_updates.phones import combine_phone, combine_phones


@pytest.mark.parametrize(
    ("parts", "e164"),
    [
        (("1", "617", "5550123"), "+16175550123"),
        (("", "617", "5550123"), "+16175550123"),
        (("+1", "(617)", "555-0123"), "+16175550123"),
        (("001", "617", "5550123"), "+16175550123"),
        (("44", "", "2079460958"), "+442079460958"),
        (("44", "020", "79460958"), "+442079460958"),
        (("39", "", "0612345678"), "+390612345678"),
        (("1", "", "5550123"), None),
        (("1", "617", "55501234"), None),
        (("1", "617", "1550123"), None),  # possible, but not valid: no exchange begins with 1
        (("1", "200", "5550123"), None),  # possible, but not valid: no such area code
        (("44", "", "1000000000"), None),
        (("1", "617", "call me"), None),
        (("x", "617", "5550123"), None),
        (("٤٤", "", "2079460958"), None),
        (("999", "", "12345678"), None),
    ],
)
def test_parts_are_combined_to_a_number_or_none(parts: tuple[str, str, str], e164: str | None) -> None:
    assert combine_phone(*parts) == e164


def test_columns_and_single_numbers_have_the_same_result() -> None:
    codes = [None, "1", "+1", "01", "44", "39", "x"]
    areas = [None, "617", "161", "020", "06", "(617)"]
    numbers = ["5550123", "555-0123", "79460958", "1", "5550123 x5", "16175550123", "+16175550123"]
    rows = [(code, area, number) for code in codes for area in areas for number in numbers]
    frame = pl.DataFrame(rows, schema=["code", "area", "number"], orient="row")
    assert combine_phones(frame).to_list() == [combine_phone(*row) for row in rows]


def test_north_american_numbers_are_valid_by_the_numbering_plans() -> None:
    """Test one number of each exchange (a sample of the exchanges in ``make test``)."""
    rng = random.Random(14)
    exchanges = range(1000) if LONG else sorted(rng.sample(range(1000), 6))
    numbers = [
        (area, f"{exchange:03}{rng.randrange(10_000):04}") for area in range(200, 1000) for exchange in exchanges
    ]
    frame = pl.DataFrame(
        [("1", str(area), number) for area, number in numbers], schema=["code", "area", "number"], orient="row"
    )
    valid = [phonenumbers.is_valid_number(phonenumbers.PhoneNumber(1, int(f"{area}{rest}"))) for area, rest in numbers]
    assert combine_phones(frame).is_not_null().to_list() == valid
    assert 0.2 < sum(valid) / len(valid) < 0.8


def test_a_row_without_a_number_results_in_null() -> None:
    frame = pl.DataFrame(
        [("1", "617", None)], schema=dict.fromkeys(("code", "area", "number"), pl.String), orient="row"
    )
    assert combine_phones(frame).to_list() == [None]


def test_the_import_combines_the_numbers_that_the_export_splits() -> None:
    """Test one example number per region of the world."""
    examples = [phonenumbers.example_number(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    texts = [phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164) for found in examples if found]
    assert len(texts) > 200
    frame = pl.DataFrame([split_phone(text) for text in texts], schema=["code", "area", "number"], orient="row")
    assert combine_phones(frame).to_list() == texts
