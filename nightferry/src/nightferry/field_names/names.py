"""Compare names of fields in snake case: ``customerLastName`` and ``customer-last-name`` are ``customer_last_name``."""

from __future__ import annotations

import re
from functools import lru_cache

_MAX_CHARACTERS = 200  # only the end of a longer name is compared, so that any name takes constant time

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]++")


def to_snake_case(field: str) -> str:
    """Return ``customer_last_name`` for ``customerLastName``, ``Customer-Last-Name`` and ``CUSTOMER LAST NAME``."""
    return _convert(field[-_MAX_CHARACTERS:])


@lru_cache(maxsize=4096)
def _convert(field: str) -> str:
    return _OTHER.sub("_", _HUMP.sub("_", field).lower()).strip("_")
