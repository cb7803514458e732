"""Telephone numbers of the employee updates: FINEOS has three parts, we have one E.164 text.

Nearly all numbers are North American ones of ten digits, which are put together column by column; the others go
through the library of numbering plans, each distinct one once per batch.
"""

from __future__ import annotations

import phonenumbers
import polars as pl
from phonenumbers import PhoneNumberFormat, ValidationResult

_HOME_REGION = "US"
_PUNCTUATION = r"[ ().\-]"
# Source: North American Numbering Plan. Neither the area code nor, with it, the number begins with 0 or 1, so that no
# trunk prefix can be meant.
_NORTH_AMERICAN = r"^[2-9][0-9]{9}$"


def combine(int_code: str | None, area: str | None, number: str | None) -> str | None:
    """The E.164 text of a number's parts; None when they are no possible number. Without a country code: ours."""
    national = f"{area or ''}{number or ''}"
    code = (int_code or "").strip().removeprefix("+").lstrip("0")
    if code and not (code.isascii() and code.isdigit()):
        return None
    try:
        parsed = phonenumbers.parse(f"+{code}{national}" if code else national, _HOME_REGION)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def combined(parts: pl.DataFrame) -> pl.Series:
    """:func:`combine` for each row of ``parts``, whose three text columns are country code, area code and number.

    A row without a number has no telephone number, whatever stands in the other columns.
    """
    code, area, number = (pl.col(name) for name in parts.columns)
    national = (area.fill_null("") + number).str.replace_all(_PUNCTUATION, "")
    is_plain = code.fill_null("1").is_in(["1", "+1"]) & national.str.contains(_NORTH_AMERICAN)
    found = parts.with_columns(e164=pl.when(is_plain).then("+1" + national))
    rest = found.filter(number.is_not_null() & pl.col("e164").is_null()).select(parts.columns).unique()
    if rest.is_empty():
        return found["e164"]
    known = rest.with_columns(other=pl.Series([combine(*row) for row in rest.iter_rows()], dtype=pl.String))
    joined = found.join(known, on=parts.columns, how="left", nulls_equal=True, maintain_order="left")
    return joined.select(pl.coalesce("e164", "other").alias("e164"))["e164"]
