"""Writers of query results as CSV, JSON lines or Parquet, streamed batch by batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from paidleave.operations.query import QueryResult, Row

_INTEGER_TYPES = {"int2", "int4", "int8", "oid"}
_QUOTED_CHARACTERS = frozenset(',"\r\n')


def write_csv(result: QueryResult, stream: BinaryIO) -> Iterator[int]:
    """Write the format of PostgreSQL's COPY: UTF-8 with a header, nothing for NULL, ``""`` for an empty string.

    Yields the number of rows of each batch, like all writers.
    """
    stream.write(_format_csv_line(tuple(column.name for column in result.columns)))
    for rows in result.batches:
        stream.write(b"".join(_format_csv_line(row) for row in rows))
        yield len(rows)


def _format_csv_line(row: Row) -> bytes:
    return ",".join(_format_csv_value(value) for value in row).encode() + b"\n"


def _format_csv_value(value: str | None) -> str:
    if value is None:
        return ""
    if value and not _QUOTED_CHARACTERS & set(value):
        return value
    return '"' + value.replace('"', '""') + '"'


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
