"""Conversion of telephone numbers from FINEOS's three parts to one E.164 text.

Nearly all are North American numbers of ten digits, which column operations combine. The phonenumbers library converts
the others, each distinct number once per batch.
"""

from __future__ import annotations

from functools import cache

import phonenumbers
import polars as pl
from phonenumbers import PhoneMetadata, PhoneNumberFormat

_HOME_REGION = "US"
_PUNCTUATION = r"[ ().\-]"
_NORTH_AMERICA = 1
_KINDS = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan"),
    "voicemail",
)
"""The kinds of numbers in a numbering plan, as attributes of phonenumbers's metadata."""


def combine_phone(int_code: str | None, area: str | None, number: str | None) -> str | None:
    """Combine the parts of a number to an E.164 text. Return None if the number is not valid.

    A valid number is in use by its country's numbering plan. A number that is only possible has the right length.

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
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def combine_phones(parts: pl.DataFrame) -> pl.Series:
    """Apply :func:`combine_phone` to each row of ``parts``.

    The three text columns are country code, area code and number. A row without a number results in null.
    """
    code, area, number = (pl.col(name) for name in parts.columns)
    national = (area.fill_null("") + number).str.replace_all(_PUNCTUATION, "")
    is_plain = code.fill_null("1").is_in(["1", "+1"]) & national.str.contains(_build_north_american_pattern())
    found = parts.with_columns(e164=pl.when(is_plain).then("+1" + national))
    rest = found.filter(number.is_not_null() & pl.col("e164").is_null()).select(parts.columns).unique()
    if rest.is_empty():
        return found["e164"]
    known = rest.with_columns(other=pl.Series([combine_phone(*row) for row in rest.iter_rows()], dtype=pl.String))
    joined = found.join(known, on=parts.columns, how="left", nulls_equal=True, maintain_order="left")
    return joined.select(pl.coalesce("e164", "other").alias("e164"))["e164"]


@cache
def _build_north_american_pattern() -> str:
    """Build the pattern of the valid numbers of ten digits with country code 1, from the plans of all its countries.

    Area codes do not start with 0 or 1, so a number that matches has no trunk prefix.
    """
    patterns = set()
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[_NORTH_AMERICA]:
        plan = PhoneMetadata.metadata_for_region(region)
        kinds = (getattr(plan, kind) for kind in _KINDS)
        patterns |= {kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern}
    return f"^(?:{'|'.join(f'(?:{pattern})' for pattern in sorted(patterns))})$".replace(r"\d", "[0-9]")
