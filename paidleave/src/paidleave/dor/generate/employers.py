"""Generated employers. Employer ``n`` has FEIN 100000000 + n with any seed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from paidleave.dor.generate import names
from paidleave.dor.generate.draws import Draws

FIRST_FEIN = 100_000_000
MAX_EMPLOYERS = 999_999_999 - FIRST_FEIN
"""The maximum number of employers, because a FEIN has nine digits."""

NO_EXEMPTION = date(9999, 12, 31)
_FIRST_CHANGE = datetime(2020, 1, 2)
_FIRST_EXEMPTION = date(2019, 7, 1)
_DBA_DIFFERS = 0.2
_EXEMPT = 0.5  # share of employers with each kind of exemption, and share of employers with an exemption period
_BLANK = 0.01  # share of blank cities and DBAs
_CHANGED_EACH_DAY = 0.3
_RENAMED_EACH_DAY = 0.1
_EXEMPTION_CHANGED = 1 / 6  # share of the changes


def make_feins(numbers: pl.Series) -> pl.Series:
    """Return the FEINs of employers ``numbers``, with nine digits."""
    return (numbers + FIRST_FEIN).cast(pl.String)


def make_account_keys(numbers: pl.Series) -> pl.Series:
    """Return the DOR account keys of employers ``numbers``: the FEIN, padded to eleven digits with leading fours."""
    return make_feins(numbers).str.pad_start(11, "4")


def count_changes(draws: Draws, day: int) -> tuple[pl.Series, pl.Series]:
    """Return how often DOR has changed each employer by ``day``, and the last day of a change (0: none)."""
    purpose = "changed"
    return (
        draws.count_occurrences(purpose, _CHANGED_EACH_DAY, day),
        draws.find_last_day(purpose, _CHANGED_EACH_DAY, day),
    )


def make_legal_names(seed: int, numbers: pl.Series, non_ascii_every: int, *, day: int) -> pl.Series:
    """Return the legal names of employers ``numbers`` on ``day`` (0: the first files).

    Every ``non_ascii_every``-th name is in curly quotes (0: none).
    """
    draws = Draws(seed, numbers)
    words = [draws.choice("first", names.COMPANY_FIRST), draws.choice("second", names.COMPANY_SECOND)]
    words.append(draws.choice("form", names.COMPANY_FORM))
    name = pl.col("0") + " " + pl.col("1") + " " + pl.col("2")
    if day:
        # The second change restores the first name.
        renamed = draws.count_occurrences("renamed", _RENAMED_EACH_DAY, day) % 2 == 1
        name = pl.when(renamed).then(name + " of New England").otherwise(name)
    if non_ascii_every:
        name = pl.when(numbers % non_ascii_every == 0).then("“" + name + "”").otherwise(name)
    return pl.DataFrame({str(place): word for place, word in enumerate(words)}).select(name).to_series()


def make_employers(
    seed: int, numbers: pl.Series, *, foreign_share: float, non_ascii_every: int, day: int
) -> pl.DataFrame:
    """Return the values of the employer file for employers ``numbers`` on ``day`` (0: the first files).

    Each day, 30 % of the employers get another DBA, address and change time, and some of these another exemption.
    Independently, 10 % get another legal name, which an import must ignore until the change time is later, too.
    """
    draws = Draws(seed, numbers)
    changes, last_change = count_changes(draws, day)
    name = make_legal_names(seed, numbers, non_ascii_every, day=day)
    first = pl.Series(names.COMPANY_FIRST)
    other_name = first.gather((draws.below("dba", len(first)) + changes) % len(first))
    other_name += " " + draws.choice("second", names.COMPANY_SECOND)
    change = pl.lit(_FIRST_CHANGE) + pl.duration(
        seconds=pl.lit(draws.below("change", 86_400)), days=pl.lit(last_change)
    )
    frame = pl.DataFrame(
        {"account_key": make_account_keys(numbers), "employer_name": name, "fein": make_feins(numbers)}
        | _make_addresses(draws, foreign_share, changes)
    )
    dba = (
        pl.when(draws.occurs("has dba", _DBA_DIFFERS) | (changes > 0))
        .then(other_name)
        .otherwise(make_legal_names(seed, numbers, non_ascii_every, day=0))
    )
    no_dba = draws.occurs("no dba", _BLANK) & (changes == 0)
    return frame.with_columns(
        employer_dba=pl.when(no_dba).then(pl.lit("")).otherwise(dba),
        **_make_exemptions(draws, changes),
        updated_date=change,
    )


def _make_addresses(draws: Draws, foreign_share: float, changes: pl.Series) -> dict[str, pl.Series]:
    house = draws.below("house", 999) + 1 + changes * 1000
    street = house.cast(pl.String) + " " + draws.choice("street", names.STREETS)
    place = draws.below("place", len(names.PLACES))
    abroad = draws.below("place abroad", len(names.FOREIGN_PLACES))
    letters = [chr(ord("A") + letter) for letter in range(26)]
    postal_code = [draws.choice(f"postal code {place}", letters) for place in range(3)]
    digits = draws.below("zip", 900) + 100
    columns = {
        "city": _pick(names.PLACES, 0, place),
        "state": _pick(names.PLACES, 1, place),
        "zip": _pick(names.PLACES, 2, place) + (digits + 1000).cast(pl.String),
        "foreign_city": _pick(names.FOREIGN_PLACES, 0, abroad),
        "foreign_state": draws.choice("region 1", letters) + draws.choice("region 2", letters),
        "foreign_zip": postal_code[0] + digits.cast(pl.String) + " " + postal_code[1] + postal_code[2],
        "foreign_country": _pick(names.FOREIGN_PLACES, 1, abroad),
        "foreign": draws.occurs("foreign", foreign_share),
        "nowhere": draws.occurs("no city", _BLANK),
    }
    foreign = pl.col("foreign")
    address = pl.DataFrame(columns).select(
        address_city=pl.when("nowhere").then(pl.lit("")).when(foreign).then("foreign_city").otherwise("city"),
        address_state=pl.when(foreign).then("foreign_state").otherwise("state"),
        address_zip=pl.when(foreign).then("foreign_zip").otherwise("zip"),
        address_country=pl.when(foreign).then("foreign_country").otherwise(pl.lit("USA")),
    )
    return {"address_street": street} | address.to_dict()


def _pick(places: tuple[tuple[str, ...], ...], column: int, index: pl.Series) -> pl.Series:
    return pl.Series([place[column] for place in places]).gather(index)


def _make_exemptions(draws: Draws, changes: pl.Series) -> dict[str, pl.Expr]:
    """Return exemptions: two independent flags, and a period of one year for half of the employers.

    Each change of an exemption reverses both flags. From the first one on, the employer has a period, because FINEOS
    requires the first day of a full exemption.
    """
    exemption_changes = draws.count_occurrences("exemption changed", _EXEMPTION_CHANGED, changes)
    reversed_flags = exemption_changes % 2 == 1
    has_period = pl.lit(draws.occurs("exemption period", _EXEMPT) | (exemption_changes > 0))
    begin = pl.lit(_FIRST_EXEMPTION) + pl.duration(days=pl.lit(draws.below("begin", 365)))
    return {
        "family_exemption": pl.lit(draws.occurs("family exempt", _EXEMPT) ^ reversed_flags),
        "medical_exemption": pl.lit(draws.occurs("medical exempt", _EXEMPT) ^ reversed_flags),
        "exemption_commence_date": pl.when(has_period).then(begin).otherwise(NO_EXEMPTION),
        "exemption_cease_date": pl.when(has_period).then(begin + timedelta(days=364)).otherwise(NO_EXEMPTION),
    }
