"""Fast column-wise reader for the ordinary lines of a DOR file.

:func:`decode` returns only lines that are certainly valid, with the same values as ``line.decode``.
:mod:`paidleave.dor.files.line` reads the other lines one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import MINYEAR

import polars as pl

from paidleave.dor.files.formats import Field, FieldType, Format

_TYPES: dict[FieldType, pl.DataType] = {
    FieldType.TEXT: pl.String(),
    FieldType.BOOL: pl.Boolean(),
    FieldType.DATE: pl.Date(),
    FieldType.DATETIME: pl.Datetime("us", "UTC"),
}
_AMOUNTS = (FieldType.AMOUNT, FieldType.OPTIONAL_AMOUNT)

# The patterns of field texts. Blank amounts and amounts with more than two decimals are rare, so they are left to the
# line-by-line reader. The conversion to a date checks its day and month.
_PATTERNS: dict[FieldType, str] = {
    FieldType.DATE: "^[0-9]{8}$",
    FieldType.DATETIME: "^[0-9]{12}[0-5][0-9]$",
    FieldType.AMOUNT: r"^[+-]?(?:[0-9]+(?:\.[0-9]{0,2})?|\.[0-9]{1,2})$",
    FieldType.OPTIONAL_AMOUNT: r"^[+-]?(?:[0-9]+(?:\.[0-9]{0,2})?|\.[0-9]{1,2})$",
}

# Most texts in the wide fields for names and addresses are much shorter than the field. If the rest of the field is
# blank, trimming only its first characters takes half the time.
_WIDE = 64
_USUAL_TEXT_WIDTH = 32


def make_schema(format: Format, scale: int = 2) -> pl.Schema:
    """Return the schema of ``format``'s records: ``line_number`` and the fields; amounts have ``scale`` decimals."""
    types = _TYPES | dict.fromkeys(_AMOUNTS, pl.Decimal(38, scale))
    return pl.Schema({"line_number": pl.Int64()} | {field.name: types[field.type] for field in format.fields})


def decode(lines: pl.DataFrame, format: Format) -> pl.DataFrame:
    """Return the records of ``format`` among ``lines`` whose values are certainly valid.

    Args:
        lines: The columns ``line_number`` and ``line``, a text without its line end. It must not contain NUL, or the
            separators U+001C–U+001F, which are white space in Python's ``strip`` but not in polars.
        format: The format of the records.
    """
    line = pl.col("line")
    candidate = line.str.len_chars() == format.width
    if format.letter is not None:
        candidate &= line.str.starts_with(format.letter)
    pieces = lines.filter(candidate).select("line_number", *_slice_pieces(format))
    texts = pieces.select("line_number", *_slice_texts(format))
    shapes = [
        pl.col(field.name).str.contains(_PATTERNS[field.type]) for field in format.fields if field.type in _PATTERNS
    ]
    values = _filter(texts, shapes).select("line_number", *(_parse_value(field) for field in format.fields))
    # An invalid date is NULL. Polars accepts the year 0, which Python does not.
    return _filter(values, [pl.col(field.name).dt.year() >= MINYEAR for field in format.fields if _is_time(field)])


def _filter(frame: pl.DataFrame, predicates: list[pl.Expr]) -> pl.DataFrame:
    # Polars rejects an empty list of predicates.
    return frame.filter(predicates) if predicates else frame


def _slice_pieces(format: Format) -> Iterator[pl.Expr]:
    """Split the line at the wide fields, because slicing fields from a short piece is faster than from a line."""
    for first, width in _find_cuts(format).items():
        yield pl.col("line").str.slice(format.offsets[first], width).alias(first)


def _find_cuts(format: Format) -> dict[str, int]:
    """Return the width of each piece, by the name of its first field."""
    cuts: dict[str, int] = {}
    after_wide = True
    for field in format.fields:
        wide = field.width > _WIDE
        if wide or after_wide:
            first = field.name
            cuts[first] = 0
        cuts[first] += field.width
        after_wide = wide
    return cuts


def _slice_texts(format: Format) -> Iterator[pl.Expr]:
    """Slice and trim the text of every field."""
    cuts = _find_cuts(format)
    for field in format.fields:
        if field.name in cuts:
            first = field.name
        text = pl.col(first)
        if field.width > _WIDE:
            blank = " " * (field.width - _USUAL_TEXT_WIDTH)
            is_short = text.str.slice(_USUAL_TEXT_WIDTH) == blank
            text = pl.when(is_short).then(text.str.slice(0, _USUAL_TEXT_WIDTH)).otherwise(text)
        else:
            text = text.str.slice(format.offsets[field.name] - format.offsets[first], field.width)
        # Dates need no trimming, because their pattern matches only the full width.
        yield (text if _is_time(field) else text.str.strip_chars()).alias(field.name)


def _parse_value(field: Field) -> pl.Expr:
    text = pl.col(field.name)
    match field.type:
        case FieldType.TEXT:
            return pl.when(text != "").then(text).alias(field.name)
        case FieldType.BOOL:
            return text == "T"
        case FieldType.DATE:
            return text.str.to_date("%Y%m%d", strict=False)
        case FieldType.DATETIME:
            return text.str.to_datetime("%Y%m%d%H%M%S", time_unit="us", time_zone="UTC", strict=False)
        case FieldType.AMOUNT | FieldType.OPTIONAL_AMOUNT:
            return text.cast(pl.Decimal(38, 2))


def _is_time(field: Field) -> bool:
    return field.type in (FieldType.DATE, FieldType.DATETIME)
