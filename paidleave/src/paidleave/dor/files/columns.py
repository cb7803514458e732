"""The ordinary lines of a DOR file, read many at once as columns.

:func:`decode` is sure of what it accepts and gives up on the rest, which :mod:`paidleave.dor.files.line` then reads one
by one. Every line that it accepts has exactly the values that ``line.decode`` gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import MINYEAR

import polars as pl

from paidleave.dor.files.formats import Field, Format, Kind

_TYPES: dict[Kind, pl.DataType] = {
    Kind.TEXT: pl.String(),
    Kind.BOOL: pl.Boolean(),
    Kind.DATE: pl.Date(),
    Kind.DATETIME: pl.Datetime("us", "UTC"),
}
_AMOUNTS = (Kind.AMOUNT, Kind.OPTIONAL_AMOUNT)

# What the text of a field must look like. An amount that is blank or has more than two decimals is rare: it is left
# to be read one by one. The day and month of a date are checked by reading it.
_PATTERNS: dict[Kind, str] = {
    Kind.DATE: "^[0-9]{8}$",
    Kind.DATETIME: "^[0-9]{12}[0-5][0-9]$",
    Kind.AMOUNT: r"^[+-]?(?:[0-9]+(?:\.[0-9]{0,2})?|\.[0-9]{1,2})$",
    Kind.OPTIONAL_AMOUNT: r"^[+-]?(?:[0-9]+(?:\.[0-9]{0,2})?|\.[0-9]{1,2})$",
}

# Names and addresses are wide fields, and what they hold is mostly far shorter: looking for the end of the text only
# in the first characters, where the rest is blank, takes half the time.
_WIDE = 64
_USUAL_TEXT_WIDTH = 32


def make_schema(format: Format, scale: int = 2) -> pl.Schema:
    """The columns of ``format``'s records: ``line_number`` and one per field; amounts with ``scale`` decimals."""
    types = _TYPES | dict.fromkeys(_AMOUNTS, pl.Decimal(38, scale))
    return pl.Schema({"line_number": pl.Int64()} | {field.name: types[field.kind] for field in format.fields})


def decode(lines: pl.DataFrame, format: Format) -> pl.DataFrame:
    """Those of ``lines`` (line_number, line as text without line end) that surely are records of ``format``.

    Lines with NUL or one of the four separators U+001C–U+001F, which Python's ``strip`` takes for white space and
    polars does not, must not be given.
    """
    line = pl.col("line")
    candidate = line.str.len_chars() == format.width
    if format.letter is not None:
        candidate &= line.str.starts_with(format.letter)
    pieces = lines.filter(candidate).select("line_number", *_slice_pieces(format))
    texts = pieces.select("line_number", *_slice_texts(format))
    shapes = [
        pl.col(field.name).str.contains(_PATTERNS[field.kind]) for field in format.fields if field.kind in _PATTERNS
    ]
    values = _filter(texts, shapes).select("line_number", *(_parse_value(field) for field in format.fields))
    # NULL is what isn't in the calendar, and there is no year 0.
    return _filter(values, [pl.col(field.name).dt.year() >= MINYEAR for field in format.fields if _is_time(field)])


def _filter(frame: pl.DataFrame, predicates: list[pl.Expr]) -> pl.DataFrame:
    # An empty list is a predicate of its own to polars, which it then refuses.
    return frame.filter(predicates) if predicates else frame


def _slice_pieces(format: Format) -> Iterator[pl.Expr]:
    """The line cut before and after each wide field, because cutting a short piece again costs less than a line."""
    for first, width in _find_cuts(format).items():
        yield pl.col("line").str.slice(format.offsets[first], width).alias(first)


def _find_cuts(format: Format) -> dict[str, int]:
    """Each piece's first field and its width."""
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
    """The trimmed text of every field."""
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
        # A date that is trimmed to its full width has no white space: no need to trim it.
        yield (text if _is_time(field) else text.str.strip_chars()).alias(field.name)


def _parse_value(field: Field) -> pl.Expr:
    text = pl.col(field.name)
    match field.kind:
        case Kind.TEXT:
            return pl.when(text != "").then(text).alias(field.name)
        case Kind.BOOL:
            return text == "T"
        case Kind.DATE:
            return text.str.to_date("%Y%m%d", strict=False)
        case Kind.DATETIME:
            return text.str.to_datetime("%Y%m%d%H%M%S", time_unit="us", time_zone="UTC", strict=False)
        case Kind.AMOUNT | Kind.OPTIONAL_AMOUNT:
            return text.cast(pl.Decimal(38, 2))


def _is_time(field: Field) -> bool:
    return field.kind in (Kind.DATE, Kind.DATETIME)
