"""One line of a DOR file, read the obvious way.

This is the definition of what a line means. :mod:`paidleave.dor.files.columns` reads the many ordinary lines of a file
as columns and leaves to this module every line about which it isn't sure, in particular all that are rejected:
a rejected line's reason is found here and nowhere else. A reason never holds a value of the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from paidleave.dor.files.formats import Field, Format, Kind, Layout

MAX_LINE_BYTES = 65_536
"""A longer line is rejected whatever it holds; the widest record has 866 characters of at most 4 bytes."""

BLANK = "blank line"
"""The reason for which a blank line is rejected."""

_AMOUNT = r"[+-]?(?:[0-9]+(?:\.[0-9]{0,18})?|\.[0-9]{1,18})"

Value = str | bool | date | datetime | Decimal | None


@dataclass(frozen=True)
class Record:
    """A line that is a record of ``format``; ``values`` has one value per field."""

    format: Format
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Reject:
    """A line that is no record: of which kind it claims to be (None: not known), the first bad field, and why."""

    kind: str | None
    field: str | None
    reason: str


class _Invalid(Exception):
    """A field that cannot be read; the text is the reason."""


def decode(raw: bytes, layout: Layout) -> Record | Reject:
    """Read one line of a file of ``layout``, given without its LF."""
    if len(raw) > MAX_LINE_BYTES:
        return Reject(None, None, f"line is longer than {MAX_LINE_BYTES} bytes")
    try:
        line = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return Reject(None, None, "invalid UTF-8")
    if not line.strip():
        return Reject(None, None, BLANK)
    format = next((each for each in layout.formats if each.letter in (None, line[0])), None)
    if format is None:
        return Reject(None, None, "unknown record letter")
    if len(line) != format.width:
        return Reject(format.name, None, f"invalid line length {len(line)} (expected {format.width})")
    values = []
    for field in format.fields:
        try:
            values.append(_parse_value(line[format.span(field.name)].strip(), field))
        except _Invalid as invalid:
            return Reject(format.name, field.name, str(invalid))
    return Record(format, tuple(values))


def _parse_value(text: str, field: Field) -> Value:
    match field.kind:
        case Kind.TEXT:
            if "\0" in text:
                raise _Invalid("NUL character")  # PostgreSQL stores no text with a NUL
            return text or None
        case Kind.BOOL:
            return text == "T"
        case Kind.DATE:
            return _parse_time(text, "[0-9]{8}", "%Y%m%d", "invalid date").date()
        case Kind.DATETIME:
            # strptime would take second 60 and 61 for leap seconds.
            return _parse_time(text, "[0-9]{12}[0-5][0-9]", "%Y%m%d%H%M%S", "invalid date and time")
        case Kind.AMOUNT | Kind.OPTIONAL_AMOUNT:
            if not text and field.kind is Kind.OPTIONAL_AMOUNT:
                return Decimal()
            # Decimal() itself would take exponents, NaN, infinity, underscores and digits of other scripts.
            if not re.fullmatch(_AMOUNT, text):
                raise _Invalid("invalid amount")
            return Decimal(text)


def _parse_time(text: str, pattern: str, format: str, reason: str) -> datetime:
    if not re.fullmatch(pattern, text):
        raise _Invalid(reason)
    try:
        return datetime.strptime(text, format).replace(tzinfo=UTC)
    except ValueError:
        raise _Invalid(reason) from None
