"""Conversion of E.164 phone numbers to the format of FINEOS: separate international code, area code and number.

Only numbers of the North American plan (country code 1) have an area code, the first three digits of the national
number. For every other country the area code is empty and the number is the complete national number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import phonenumbers

NORTH_AMERICA = 1
AREA_DIGITS = 3


class Phone(NamedTuple):
    """The three parts of a number at FINEOS. All are empty if the number is missing."""

    int_code: str
    area: str
    number: str


NO_PHONE = Phone("", "", "")


@lru_cache(maxsize=4096)
def split_phone(e164: str | None) -> Phone:
    """Split a number such as ``+16175550123`` into ``("1", "617", "5550123")``.

    Leading zeros of a national number, for example in Italy, are significant and retained. A text that is not an
    international number results in three empty texts, which FINEOS expects for "no phone".
    """
    if not e164:
        return NO_PHONE
    try:
        parsed = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return NO_PHONE
    national = phonenumbers.national_significant_number(parsed)
    area = national[:AREA_DIGITS] if parsed.country_code == NORTH_AMERICA else ""
    return Phone(str(parsed.country_code), area, national[len(area) :])
