"""A phone number as FINEOS has it: international code, area code and number apart; ours is one E.164 text.

Only the North American plan (country code 1) knows an area code: the first three digits of the national number.
For every other country the area code stays empty and the whole national number is the number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import phonenumbers

NORTH_AMERICA = 1
AREA_DIGITS = 3


class Phone(NamedTuple):
    """The three parts that FINEOS knows; all empty when there is no number."""

    int_code: str
    area: str
    number: str


NO_PHONE = Phone("", "", "")


@lru_cache(maxsize=4096)
def split_phone(e164: str | None) -> Phone:
    """Split a number such as ``+16175550123`` into ``("1", "617", "5550123")``.

    Zeros that lead a national number (Italy's, say) are kept: without them it would be another number. What cannot
    be read as an international number gives three empty texts, as FINEOS expects for "no phone".
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
