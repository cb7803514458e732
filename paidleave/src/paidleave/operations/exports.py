"""Results as files: CSV, JSON lines or Parquet, row by row into a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from paidleave.operations.reading import Result, Row

_NUMBERS = {"int2", "int4", "int8", "oid"}
_NEEDS_QUOTES = frozenset(',"\r\n')


def write_csv(result: Result, stream: BinaryIO) -> Iterator[int]:
    """As PostgreSQL's COPY has it: UTF-8, a header; NULL is nothing, an empty text is ``""``. Yields rows written."""
    stream.write(_csv_line(tuple(column.name for column in result.columns)))
    for rows in result.portions:
        stream.write(b"".join(_csv_line(row) for row in rows))
        yield len(rows)


def _csv_line(row: Row) -> bytes:
    return ",".join(_csv_value(value) for value in row).encode() + b"\n"


def _csv_value(value: str | None) -> str:
    if value is None:
        return ""
    if value and not _NEEDS_QUOTES & set(value):
        return value
    return '"' + value.replace('"', '""') + '"'


def write_json(result: Result, stream: BinaryIO) -> Iterator[int]:
    """One object a line. Whole numbers, truth values and JSON are what they are; all else is PostgreSQL's text."""
    names = [json.dumps(column.name, ensure_ascii=False) for column in result.columns]
    as_json = [_JSON.get(column.type, _json_text) for column in result.columns]
    for rows in result.portions:
        for row in rows:
            values = (
                f"{name}: {'null' if value is None else convert(value)}"
                for name, convert, value in zip(names, as_json, row, strict=True)
            )
            stream.write(f"{{{', '.join(values)}}}\n".encode())
        yield len(rows)


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json_line(text: str) -> str:
    """JSON as PostgreSQL has it, in one line: within texts JSON escapes line ends, elsewhere they mean nothing."""
    return text.replace("\n", " ").replace("\r", " ")


_JSON: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(_NUMBERS, str),
    "bool": {"t": "true", "f": "false"}.__getitem__,
    "json": _json_line,
    "jsonb": _json_line,
}


def write_parquet(result: Result, stream: BinaryIO) -> Iterator[int]:
    """A row group for each portion. Whole numbers, floats and truth values are typed; all else is PostgreSQL's text."""
    kinds = [_PARQUET.get(column.type, (pa.string(), str)) for column in result.columns]
    names = _unique([column.name for column in result.columns])
    schema = pa.schema([pa.field(name, kind) for name, (kind, _) in zip(names, kinds, strict=True)])
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for rows in result.portions:
            columns = [
                pa.array([None if value is None else convert(value) for value in (row[n] for row in rows)], kind)
                for n, (kind, convert) in enumerate(kinds)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            yield len(rows)


_PARQUET: Mapping[str, tuple[pa.DataType, Callable[[str], object]]] = {
    "bool": (pa.bool_(), "t".__eq__),
    "int2": (pa.int16(), int),
    "int4": (pa.int32(), int),
    "int8": (pa.int64(), int),
    "oid": (pa.int64(), int),
    "float4": (pa.float32(), float),
    "float8": (pa.float64(), float),
}


def _unique(names: list[str]) -> list[str]:
    """Parquet's readers need a name of its own for each column; a second ``count`` becomes ``count_2``."""
    seen: set[str] = set()
    found = []
    for name in names:
        candidate, number = name, 1
        while candidate in seen:
            number += 1
            candidate = f"{name}_{number}"
        seen.add(candidate)
        found.append(candidate)
    return found


WRITERS: Mapping[str, Callable[[Result, BinaryIO], Iterator[int]]] = {
    "csv": write_csv,
    "json": write_json,
    "parquet": write_parquet,
}
