"""The export's SQL statements: each is a file of ``sql/eligibility_feed/`` that begins with what it is for."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> bytes:
    """The statement in ``sql/eligibility_feed/<name>.sql``."""
    return (files("paidleave.fineos.eligibility_feed") / "sql" / f"{name}.sql").read_bytes()
