"""The ordinary lines of a DOR file, read many at once as columns.

:func:`decode` is sure of what it accepts and gives up on the rest, which :mod:`paidleave.dor.line` then reads one
by one. Every line that it accepts has exactly the values that ``line.decode`` gives.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from paidleave.dor.formats import Field, Format, Kind
from paidleave.dor.line import AMOUNT

_TYPES: dict[Kind, pl.DataType] = {
    Kind.TEXT: pl.String(),
    Kind.BOOL: pl.Boolean(),
    Kind.DATE: pl.Date(),
    Kind.DATETIME: pl.Datetime("us", "UTC"),
    Kind.AMOUNT: pl.String(),
    Kind.OPTIONAL_AMOUNT: pl.String(),
}

# Most names and addresses are far shorter than their field: looking for the end of the text only in the first
# characters, where the rest is blank, halves the time of reading a line.
_USUAL_TEXT_WIDTH = 32

_LINE = pl.col("line")


def schema(format: Format) -> pl.Schema:
    """The columns of ``format``'s records: ``line_number`` and one per field."""
    return pl.Schema({"line_number": pl.Int64()} | {field.name: _TYPES[field.kind] for field in format.fields})


def decode(lines: pl.DataFrame, format: Format) -> pl.DataFrame:
    """Those of ``lines`` (line_number, line as text without line end) that surely are records of ``format``.

    Lines with NUL or one of the four separators U+001C–U+001F, which Python's ``strip`` takes for white space and
    polars does not, must not be given.
    """
    candidates = _LINE.str.len_chars() == format.width
    if format.letter is not None:
        candidates &= _LINE.str.starts_with(format.letter)
    values = lines.filter(candidates).select("line_number", *(_value(field, format) for field in format.fields))
    checked = [_check(field) for field in format.fields]
    return values.filter(*(check for check in checked if check is not None))


def _value(field: Field, format: Format) -> pl.Expr:
    offset = format.offsets[field.name]
    text = _LINE.str.slice(offset, field.width)
    match field.kind:
        case Kind.BOOL:
            value = text.str.strip_chars() == "T"
        case Kind.DATE:
            # No trimming: what trims to eight digits of eight characters has no white space.
            value = pl.when(text.str.contains("^[0-9]{8}$")).then(text).str.to_date("%Y%m%d", strict=False)
        case Kind.DATETIME:
            digits = pl.when(text.str.contains("^[0-9]{12}[0-5][0-9]$")).then(text)
            value = digits.str.to_datetime("%Y%m%d%H%M%S", time_unit="us", time_zone="UTC", strict=False)
        case Kind.AMOUNT:
            value = text.str.strip_chars()
        case Kind.OPTIONAL_AMOUNT:
            trimmed = text.str.strip_chars()
            value = pl.when(trimmed == "").then(pl.lit("0")).otherwise(trimmed)
        case Kind.TEXT:
            trimmed = _trimmed(text, offset, field.width)
            value = pl.when(trimmed != "").then(trimmed)
    return value.alias(field.name)


def _trimmed(text: pl.Expr, offset: int, width: int) -> pl.Expr:
    if width <= 2 * _USUAL_TEXT_WIDTH:
        return text.str.strip_chars()
    start = _LINE.str.slice(offset, _USUAL_TEXT_WIDTH)
    rest = _LINE.str.slice(offset + _USUAL_TEXT_WIDTH, width - _USUAL_TEXT_WIDTH)
    blank = " " * (width - _USUAL_TEXT_WIDTH)
    return pl.when(rest == blank).then(start).otherwise(text).str.strip_chars()


def _check(field: Field) -> pl.Expr | None:
    """What must hold of a field's value for the line to be accepted; None: nothing."""
    column = pl.col(field.name)
    match field.kind:
        case Kind.DATE | Kind.DATETIME:
            return column.dt.date() >= date.min  # there is no year 0; NULL is refused too
        case Kind.AMOUNT | Kind.OPTIONAL_AMOUNT:
            return column.str.contains(AMOUNT)
        case _:
            return None
