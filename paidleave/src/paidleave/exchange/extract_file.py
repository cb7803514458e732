"""Reader for the vendor's extracts: RFC 4180 CSV in UTF-8 with a header, streamed as text columns.

Every record becomes a row or a rejected record. The records are also counted by their line ends, as a check. If the two
counts differ, the file's quotes are unbalanced and the ends of its records are unknown, so the file is refused.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from paidleave.exchange.errors import RefusedFile

BLOCK_BYTES = 8 << 20
"""Size of the blocks that are read and parsed; a record must not be longer."""

_HEADER_LIMIT_BYTES = 1 << 20
_QUOTE, _LINE_END = b'"', b"\n"


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that is not a valid row: its number in the file (the header is 1), the reason, and its text."""

    number: int
    reason: str
    text: str = field(repr=False)


@dataclass
class RecordCounts:
    """Counts of a file's rows and of its rejected records by reason, without the header."""

    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        """The number of records in the file, rejected ones included."""
        return self.rows + self.rejected.total()


def read_header(stream: BinaryIO) -> list[str]:
    """Return the column names. Raises RefusedFile."""
    start = stream.read(_HEADER_LIMIT_BYTES)
    try:
        text = start.decode("utf-8-sig", errors="strict" if len(start) < _HEADER_LIMIT_BYTES else "ignore")
        names = next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except UnicodeDecodeError:
        # The invalid bytes may be in a record after the header; those are rejected later.
        names = next(csv.reader(io.StringIO(start.decode("utf-8-sig", errors="replace"), newline="")), [])
        if any("\ufffd" in name for name in names):
            raise RefusedFile("the header is not UTF-8") from None
    except csv.Error:
        raise RefusedFile("the header is not CSV") from None
    if not names or not all(name.strip() for name in names):
        raise RefusedFile("a column in the header has no name" if names else "it is empty")
    if len({name.strip().casefold() for name in names}) < len(names):
        raise RefusedFile("two columns have the same name")
    return names


def read_rows(
    stream: BinaryIO, names: list[str], counts: RecordCounts, reject: Callable[[RejectedRecord], None]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches of text columns, with NULL for empty fields; pass the other records to ``reject``.

    Raises RefusedFile.
    """
    counting = _CountingReader(stream)
    skipped: list[RejectedRecord] = []

    def skip(row: pa.csv.InvalidRow) -> Literal["skip"]:
        reason = "too few fields" if row.actual_columns < row.expected_columns else "too many fields"
        skipped.append(RejectedRecord(row.number or 0, reason, row.text))
        return "skip"

    def count_and_reject(record: RejectedRecord) -> None:
        counts.rejected[record.reason] += 1
        reject(record)

    try:
        with closing(_open_csv(counting, names, skip)) as reader:
            if reader.schema.names != names or set(reader.schema.types) != {pa.binary()}:
                raise RefusedFile("it was replaced while it was being read")
            first = 2  # number of the batch's first record
            for batch in reader:
                row_count = batch.num_rows
                numbers = _RecordNumbers(first, sorted(record.number for record in skipped))
                first = numbers.find(row_count - 1) + 1 if row_count else first
                skipped_in_batch = [record for record in skipped if record.number < first]
                skipped[:] = [record for record in skipped if record.number >= first]
                for record in skipped_in_batch:
                    count_and_reject(record)
                valid, invalid = _decode(batch)
                for index, reason in invalid:
                    count_and_reject(RejectedRecord(numbers.find(index), reason, _format_record(batch, index)))
                counts.rows += valid.num_rows
                if valid.num_rows:
                    yield valid
    except pa.ArrowInvalid as error:
        # Arrow's messages quote the file, so they must not get into the log.
        reason = "a record is longer than 8 MB" if "straddling" in str(error) else "it is not CSV"
        raise RefusedFile(reason) from None
    for record in skipped:
        count_and_reject(record)
    if counting.open_quote or counting.records - 1 != counts.records:
        raise RefusedFile(
            f"its quotes are unbalanced: {counting.records - 1} records by line ends, {counts.records} by fields"
        )


def _open_csv(
    stream: _CountingReader, names: list[str], skip: Callable[[pa.csv.InvalidRow], Literal["skip"]]
) -> pa.csv.CSVStreamingReader:
    return pa.csv.open_csv(
        pa.PythonFile(stream, mode="r"),  # type: ignore[arg-type]  # the stubs lack Arrow's file types
        read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.binary() for name in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def _decode(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[tuple[int, str]]]:
    """Return the valid rows as text, and index and reason of the invalid ones: without any value, or not UTF-8."""
    bad: dict[int, str] = {}
    empty = batch.column(0).is_null()
    for column in batch.columns[1:]:
        empty = pc.and_(empty, column.is_null())
    if pc.any(empty).as_py():
        bad |= {index: "no value" for index, is_empty in enumerate(empty.to_pylist()) if is_empty}
    for column in batch.columns:
        try:
            column.cast(pa.string())
        except pa.ArrowInvalid:
            bad |= {index: "not UTF-8" for index, value in enumerate(column.to_pylist()) if not _is_utf8(value)}
    if bad:
        batch = batch.filter(pa.array([index not in bad for index in range(batch.num_rows)]))
    columns = [column.cast(pa.string()) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names), sorted(bad.items())


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _format_record(batch: pa.RecordBatch, index: int) -> str:
    """Return a record as CSV, with bytes that are not UTF-8 in hexadecimal."""
    line = io.StringIO()
    values = [column[index].as_py() or b"" for column in batch.columns]
    csv.writer(line, lineterminator="").writerow([value.decode(errors="backslashreplace") for value in values])
    return line.getvalue()


class _RecordNumbers:
    """Maps a row's index in its batch to its record number in the file, past the records that were skipped."""

    def __init__(self, first: int, skipped: list[int]) -> None:
        self._first = first
        self._skipped = [number for number in skipped if number >= first]

    def find(self, index: int) -> int:
        record_number = self._first + index
        for number in self._skipped:
            if number > record_number:
                break
            record_number += 1
        return record_number


class _CountingReader(io.RawIOBase):
    """Counts the records of a stream by line ends outside of quotes, and adds a missing line end to the last one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last = _LINE_END
        self.records = 0
        self.open_quote = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        if len(chunk) < size and (chunk[-1:] or self._last) != _LINE_END:  # end of file
            chunk += _LINE_END
        parts = chunk.split(_QUOTE)
        self.records += sum(part.count(_LINE_END) for part in parts[self.open_quote :: 2])
        self.open_quote ^= len(parts) % 2 == 0
        self._last = chunk[-1:] or _LINE_END
        return chunk
