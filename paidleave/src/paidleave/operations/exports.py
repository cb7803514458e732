"""Writers of query results as CSV, JSON lines or Parquet, streamed batch by batch.

A spreadsheet evaluates text that begins like a formula. In CSV, an apostrophe therefore precedes each value and each
column name that begins with a tab, a line end, or after white space with = + - @ or a wide form of these. Numbers
remain unchanged: values of numeric types, and text in the form of a number. A value that already has apostrophes before
such a character gets one more, so that a reader restores all values by removing one apostrophe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from paidleave.operations.query import QueryResult

_INTEGER_TYPES = {"int2", "int4", "int8", "oid"}
_NUMBER_TYPES = {*_INTEGER_TYPES, "numeric", "float4", "float8"}
_QUOTED_CHARACTERS = frozenset(',;"\t\r\n')  # some programs split lines at semicolons or tabs
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def write_csv(result: QueryResult, stream: BinaryIO) -> Iterator[int]:
    """Write the format of PostgreSQL's COPY: UTF-8 with a header, nothing for NULL, ``""`` for an empty string.

    Yields the number of rows of each batch, like all writers.
    """
    stream.write(_join_csv_values(_quote_csv(_disarm(column.name)) for column in result.columns))
    formats = [_quote_csv if column.type in _NUMBER_TYPES else _format_csv_text for column in result.columns]
    for rows in result.batches:
        lines = (
            _join_csv_values("" if value is None else format(value) for format, value in zip(formats, row, strict=True))
            for row in rows
        )
        stream.write(b"".join(lines))
        yield len(rows)


def _join_csv_values(values: Iterable[str]) -> bytes:
    return ",".join(values).encode() + b"\n"


def _format_csv_text(text: str) -> str:
    return _quote_csv(_disarm(text))


def _disarm(text: str) -> str:
    """Return the text with an apostrophe before it if a spreadsheet may evaluate it."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _quote_csv(text: str) -> str:
    if text and not _QUOTED_CHARACTERS & set(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def write_json(result: QueryResult, stream: BinaryIO) -> Iterator[int]:
    """Write one object per line; integers, booleans and JSON keep their types, others become PostgreSQL's text."""
    names = [json.dumps(column.name, ensure_ascii=False) for column in result.columns]
    converters = [_JSON_CONVERTERS.get(column.type, _quote_json) for column in result.columns]
    for rows in result.batches:
        for row in rows:
            values = (
                f"{name}: {'null' if value is None else convert(value)}"
                for name, convert, value in zip(names, converters, row, strict=True)
            )
            stream.write(f"{{{', '.join(values)}}}\n".encode())
        yield len(rows)


def _quote_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _join_json_lines(text: str) -> str:
    """Return PostgreSQL's JSON on one line. Line ends within JSON strings are escaped, so all others are layout."""
    return text.replace("\n", " ").replace("\r", " ")


_JSON_CONVERTERS: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(_INTEGER_TYPES, str),
    "bool": {"t": "true", "f": "false"}.__getitem__,
    "json": _join_json_lines,
    "jsonb": _join_json_lines,
}


def write_parquet(result: QueryResult, stream: BinaryIO) -> Iterator[int]:
    """Write one row group per batch; integers, floats and booleans are typed, others become PostgreSQL's text."""
    column_types = [_PARQUET_TYPES.get(column.type, (pa.string(), str)) for column in result.columns]
    names = _make_unique([column.name for column in result.columns])
    schema = pa.schema([pa.field(name, type_) for name, (type_, _) in zip(names, column_types, strict=True)])
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for rows in result.batches:
            columns = [
                pa.array([None if value is None else convert(value) for value in (row[n] for row in rows)], type_)
                for n, (type_, convert) in enumerate(column_types)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            yield len(rows)


_PARQUET_TYPES: Mapping[str, tuple[pa.DataType, Callable[[str], object]]] = {
    "bool": (pa.bool_(), "t".__eq__),
    "int2": (pa.int16(), int),
    "int4": (pa.int32(), int),
    "int8": (pa.int64(), int),
    "oid": (pa.int64(), int),
    "float4": (pa.float32(), float),
    "float8": (pa.float64(), float),
}


def _make_unique(names: list[str]) -> list[str]:
    """Return distinct names, as readers of Parquet require them: a second ``count`` becomes ``count_2``."""
    seen: set[str] = set()
    unique = []
    for name in names:
        candidate, number = name, 1
        while candidate in seen:
            number += 1
            candidate = f"{name}_{number}"
        seen.add(candidate)
        unique.append(candidate)
    return unique


WRITERS: Mapping[str, Callable[[QueryResult, BinaryIO], Iterator[int]]] = {
    "csv": write_csv,
    "json": write_json,
    "parquet": write_parquet,
}
