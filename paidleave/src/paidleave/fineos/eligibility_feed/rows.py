"""The ordered pass over the database, cut where one employer's rows end and the next one's begin.

``rows.sql`` yields one CSV record per message: the employer's number at FINEOS, the number of its rows, the telephone
and cell numbers that SQL left to us, then the feed's 67 columns. Whatever an employer's size, only one part of its
rows is in memory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from paidleave.fineos.eligibility_feed.feed_format import CRLF, with_phones
from paidleave.fineos.eligibility_feed.phone import split_phone

PART_ROWS = 2000
"""Rows of an employer that are handed on at once: about half a megabyte."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows of one employer, each ended by CRLF; ``records`` counts the rows of all its parts."""

    fineos_employer_id: int
    records: int
    rows: bytes
    first: bool
    last: bool


class FeedOutOfStep(Exception):
    """The database sent more or fewer rows of an employer than it had announced, which a snapshot rules out."""


def parts(messages: Iterable[bytes | bytearray | memoryview]) -> Iterator[Part]:
    """The rows of each employer, in order; small employers are one part."""
    prefix = b"\n"  # no message begins with it
    employer = records = missing = 0
    lines: list[bytes] = []
    for message in messages:
        row = bytes(message)
        if not missing:
            start, employer, records = _start(row)
            missing = records
            prefix = start + b",,"  # both phones split already
        if row.startswith(prefix):
            lines.append(row[len(prefix) : -1])
        elif row.startswith(start):
            lines.append(_with_split_phones(row))
        else:
            raise FeedOutOfStep(f"{missing} of {records} rows are missing for employer {employer} at FINEOS.")
        missing -= 1
        if not missing or len(lines) == PART_ROWS:
            sent = records - missing
            lines.append(b"")
            yield Part(employer, records, CRLF.join(lines), first=sent < len(lines), last=not missing)
            lines = []
    if missing:
        raise FeedOutOfStep(f"{missing} of {records} rows are missing for employer {employer} at FINEOS.")


def _start(row: bytes) -> tuple[bytes, int, int]:
    employer, records, _ = row.split(b",", 2)
    return b"%s,%s," % (employer, records), int(employer), int(records)


def _with_split_phones(row: bytes) -> bytes:
    """The slow way, for numbers other than ten digits of +1."""
    _, _, telephone, cell, *fields = next(csv.reader(io.StringIO(row.decode(), newline="")))
    return with_phones(fields, split_phone(telephone), split_phone(cell))
