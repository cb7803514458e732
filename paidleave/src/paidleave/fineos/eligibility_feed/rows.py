"""Splitting of the ordered pass into the rows of each employer.

``rows.sql`` returns one CSV record per message: the employer's customer number, the number of its rows, the telephone
and cell numbers that SQL could not split, then the 67 columns of the feed. Only one part of an employer's rows is in
memory at a time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from operator import ne

from paidleave.fineos.eligibility_feed.feed_format import CRLF, format_row_with_phones
from paidleave.fineos.eligibility_feed.phone import split_phone

PART_ROWS = 2000
"""Maximum rows per part, about half a megabyte."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows of one employer with CRLF line ends. ``records`` is the number of rows in all its parts."""

    fineos_employer_id: int
    records: int
    rows: bytes
    first: bool
    last: bool


class RowCountMismatch(Exception):
    """The database returned a different number of rows for an employer than announced in the same snapshot."""


def split_parts(messages: Iterable[bytes | bytearray | memoryview]) -> Iterator[Part]:
    """Yield the rows of each employer in order. A small employer is one part."""
    prefix = b"\n"  # No message starts with a line end.
    employer = records = missing = 0
    lines: list[bytes] = []
    for message in messages:
        row = bytes(message)
        if not missing:
            start, employer, records = _parse_prefix(row)
            missing = records
            prefix = start + b",,"  # The database split both phone numbers.
        if row.startswith(prefix):
            lines.append(row[len(prefix) : -1])
        elif row.startswith(start):
            lines.append(_split_row_phones(row))
        else:
            raise RowCountMismatch(f"{missing} of {records} rows are missing for employer {employer} at FINEOS.")
        missing -= 1
        if not missing or len(lines) == PART_ROWS:
            sent = records - missing
            lines.append(b"")
            yield Part(employer, records, CRLF.join(lines), first=sent < len(lines), last=not missing)
            lines = []
    if missing:
        raise RowCountMismatch(f"{missing} of {records} rows are missing for employer {employer} at FINEOS.")


def add_empty_files(parts: Iterable[Part], employers: Iterable[int]) -> Iterator[Part]:
    """Yield ``parts``, and an empty part for each of ``employers`` that has none.

    Both are in the order of the customer numbers.
    """
    numbers = iter(employers)
    for part in parts:
        if part.first:
            yield from map(_build_empty_part, takewhile(partial(ne, part.fineos_employer_id), numbers))
        yield part
    yield from map(_build_empty_part, numbers)


def _build_empty_part(fineos_employer_id: int) -> Part:
    return Part(fineos_employer_id, 0, b"", first=True, last=True)


def _parse_prefix(row: bytes) -> tuple[bytes, int, int]:
    employer, records, _ = row.split(b",", 2)
    return b"%s,%s," % (employer, records), int(employer), int(records)


def _split_row_phones(row: bytes) -> bytes:
    """Split the phone numbers of a row. This slow path is for all but ten-digit numbers of country code 1."""
    _, _, telephone, cell, *fields = next(csv.reader(io.StringIO(row.decode(), newline="")))
    return format_row_with_phones(fields, split_phone(telephone), split_phone(cell))
