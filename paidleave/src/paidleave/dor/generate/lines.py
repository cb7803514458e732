"""Formatting of columns as fixed-width lines."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from paidleave.dor.files.formats import FieldType, Format

_CENTS = pl.Series([f".{cents:02}" for cents in range(100)])


def format_lines(values: pl.DataFrame, format: Format) -> list[str]:
    """Return one line per row of ``values``, which has one column per field of ``format``.

    Texts are padded on the right. Dates and times are written as digits and booleans as T or F. Amounts are in whole
    cents and padded on the left. A constant text may be a single row.
    """
    parts = []
    for field in format.fields:
        column = pl.col(field.name)
        match field.type:
            case FieldType.TEXT:
                parts.append(column if _is_padded(values, field.name, field.width) else column.str.pad_end(field.width))
            case FieldType.BOOL:
                parts.append(pl.when(column).then(pl.lit("T")).otherwise(pl.lit("F")))
            case FieldType.DATE:
                parts.append(column.dt.strftime("%Y%m%d"))
            case FieldType.DATETIME:
                parts.append(column.dt.strftime("%Y%m%d%H%M%S"))
            case FieldType.AMOUNT | FieldType.OPTIONAL_AMOUNT:
                dollars = (column // 100).cast(pl.String).str.pad_start(field.width - 3)
                parts += [dollars, pl.lit(_CENTS).gather(column % 100)]
    return values.select(pl.concat_str(parts)).to_series().to_list()


def pad_texts(texts: Sequence[str], width: int) -> list[str]:
    """Return ``texts`` padded to ``width``, so that a column with these values does not have to be padded."""
    return [f"{text:<{width}}" for text in texts]


def _is_padded(values: pl.DataFrame, name: str, width: int) -> bool:
    lengths = values[name].str.len_chars()
    return bool((lengths == width).all())
