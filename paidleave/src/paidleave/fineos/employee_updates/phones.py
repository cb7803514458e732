"""Conversion of telephone numbers from FINEOS's three parts to one E.164 text.

Nearly all are North American numbers of ten digits, which column operations combine. The phonenumbers library converts
the others, each distinct number once per batch.
"""

from __future__ import annotations

import phonenumbers
import polars as pl
from phonenumbers import PhoneNumberFormat, ValidationResult

_HOME_REGION = "US"
_PUNCTUATION = r"[ ().\-]"
# In the North American Numbering Plan, area codes do not start with 0 or 1. A number that matches therefore has no
# trunk prefix.
_NORTH_AMERICAN = r"^[2-9][0-9]{9}$"


def combine_phone(int_code: str | None, area: str | None, number: str | None) -> str | None:
    """Combine the parts of a number to an E.164 text. Return None if the number is not possible.

    The default country code is that of the United States.
    """
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


def combine_phones(parts: pl.DataFrame) -> pl.Series:
    """Apply :func:`combine_phone` to each row of ``parts``.

    The three text columns are country code, area code and number. A row without a number results in null.
    """
    code, area, number = (pl.col(name) for name in parts.columns)
    national = (area.fill_null("") + number).str.replace_all(_PUNCTUATION, "")
    is_plain = code.fill_null("1").is_in(["1", "+1"]) & national.str.contains(_NORTH_AMERICAN)
    found = parts.with_columns(e164=pl.when(is_plain).then("+1" + national))
    rest = found.filter(number.is_not_null() & pl.col("e164").is_null()).select(parts.columns).unique()
    if rest.is_empty():
        return found["e164"]
    known = rest.with_columns(other=pl.Series([combine_phone(*row) for row in rest.iter_rows()], dtype=pl.String))
    joined = found.join(known, on=parts.columns, how="left", nulls_equal=True, maintain_order="left")
    return joined.select(pl.coalesce("e164", "other").alias("e164"))["e164"]
