"""Reader for a single line of a DOR file, and the reference for how lines are read.

:mod:`paidleave.dor.files.columns` reads ordinary lines as columns. This module reads all other lines and is the only
one that rejects lines and gives the reasons. A reason never contains a value of the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from nightferry import NightferryError
from paidleave.dor.files.formats import Field, FieldType, Format, Layout

MAX_LINE_BYTES = 65_536
"""A longer line is rejected. The widest record has 866 characters of at most 4 bytes."""

BYTE_ORDER_MARK = "\ufeff"
"""A line that begins with it is rejected. Concatenated files contain it. The mark of a file is skipped."""

BLANK = "blank line"
"""The reason of a rejected blank line."""

WRONG_LENGTH = "invalid line length"
"""The reason of a line of another width than its format; the lengths follow it."""

_AMOUNT = r"[+-]?(?:[0-9]+(?:\.[0-9]{0,18})?|\.[0-9]{1,18})"

Value = str | bool | date | datetime | Decimal | None


class IncompleteFile(NightferryError):
    """The file ends within a line, or it has no content. Wait for its upload to finish, or request it again."""


@dataclass(frozen=True)
class Record:
    """A valid line of ``format``; ``values`` has one value per field."""

    format: Format
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Reject:
    """A rejected line.

    ``kind`` is the name of its format (None: unknown) and ``field`` the first invalid field (None: the whole line).
    """

    kind: str | None
    field: str | None
    reason: str


class _Invalid(Exception):
    """A field is invalid; the message is the reason."""


def decode(raw: bytes, layout: Layout) -> Record | Reject:
    """Read one line of a file of ``layout``, without its LF."""
    if len(raw) > MAX_LINE_BYTES:
        return Reject(None, None, f"line is longer than {MAX_LINE_BYTES} bytes")
    try:
        line = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return Reject(None, None, "invalid UTF-8")
    if not line.strip():
        return Reject(None, None, BLANK)
    if line.startswith(BYTE_ORDER_MARK):
        return Reject(None, None, "byte order mark")
    format = next((each for each in layout.formats if each.letter in (None, line[0])), None)
    if format is None:
        return Reject(None, None, "unknown record letter")
    if len(line) != format.width:
        return Reject(format.name, None, f"{WRONG_LENGTH} {len(line)} (expected {format.width})")
    values = []
    for field in format.fields:
        try:
            values.append(_parse_value(line[format.get_span(field.name)].strip(), field))
        except _Invalid as invalid:
            return Reject(format.name, field.name, str(invalid))
    return Record(format, tuple(values))


def check_end(raw: bytes, layout: Layout) -> None:
    """Raise IncompleteFile if ``raw``, a last line without a line end, does not have the width of its format."""
    line = raw.decode(errors="replace").rstrip("\r")
    format = next((each for each in layout.formats if line and each.letter in (None, line[0])), None)
    if format is None or len(line) != format.width:
        expected = f" of {format.width}" if format else ""
        raise IncompleteFile(
            f"the file ends within a line: the last line has no line end and only {len(line)}{expected} characters. "
            "Wait for its upload to finish, or request it again"
        )


def _parse_value(text: str, field: Field) -> Value:
    match field.type:
        case FieldType.TEXT:
            if "\0" in text:
                raise _Invalid("NUL character")  # PostgreSQL cannot store NUL in a text.
            return text or None
        case FieldType.BOOL:
            return text == "T"
        case FieldType.DATE:
            return _parse_time(text, "[0-9]{8}", "%Y%m%d", "invalid date").date()
        case FieldType.DATETIME:
            # strptime would accept the seconds 60 and 61.
            return _parse_time(text, "[0-9]{12}[0-5][0-9]", "%Y%m%d%H%M%S", "invalid date and time")
        case FieldType.AMOUNT | FieldType.OPTIONAL_AMOUNT:
            if not text and field.type is FieldType.OPTIONAL_AMOUNT:
                return Decimal()
            # Decimal() itself would accept exponents, NaN, infinity, underscores and digits of other scripts.
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
