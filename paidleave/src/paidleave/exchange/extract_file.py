"""The vendor's extracts: CSV by RFC 4180 with a header, in UTF-8, read as a stream of text columns.

Every record is a row or a rejected record, and the two add up to the records, which are counted a second time by their
line ends. A file in which they don't is refused, for then the quotes are broken and nobody knows where a record ends.
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

BLOCK = 8 << 20
"""Bytes that are read and parsed at once; no record can be longer."""

_HEADER_LIMIT = 1 << 20
_QUOTE, _LINE_END = b'"', b"\n"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is no row: its place in the file (the header is 1), why, and what stands there."""

    number: int
    reason: str
    text: str = field(repr=False)


@dataclass
class Account:
    """What became of the records of a file, its header left out."""

    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        """Return how many records the file has, rejected ones included."""
        return self.rows + self.rejected.total()


def header(stream: BinaryIO) -> list[str]:
    """The names of the columns. Raises RefusedFile."""
    start = stream.read(_HEADER_LIMIT)
    try:
        text = start.decode("utf-8-sig", errors="strict" if len(start) < _HEADER_LIMIT else "ignore")
        names = next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except UnicodeDecodeError:
        # The header may be sound although a record behind it is not.
        names = next(csv.reader(io.StringIO(start.decode("utf-8-sig", errors="replace"), newline="")), [])
        if any("\ufffd" in name for name in names):
            raise RefusedFile("the header is not UTF-8") from None
    except csv.Error:
        raise RefusedFile("the header is not CSV") from None
    if not names or not all(name.strip() for name in names):
        raise RefusedFile("the header has no name for a column" if names else "it is empty")
    if len({name.strip().casefold() for name in names}) < len(names):
        raise RefusedFile("two columns have one name")
    return names


def rows(
    stream: BinaryIO, names: list[str], account: Account, reject: Callable[[Rejected], None]
) -> Iterator[pa.RecordBatch]:
    """The rows in batches of text columns, NULL where nothing stands; ``reject`` gets the others.

    Raises RefusedFile.
    """
    counting = _Counting(stream)
    skipped: list[Rejected] = []

    def skip(row: pa.csv.InvalidRow) -> Literal["skip"]:
        reason = "too few fields" if row.actual_columns < row.expected_columns else "too many fields"
        skipped.append(Rejected(row.number or 0, reason, row.text))
        return "skip"

    def take(rejected: Rejected) -> None:
        account.rejected[rejected.reason] += 1
        reject(rejected)

    try:
        with closing(_open(counting, names, skip)) as reader:
            if reader.schema.names != names or set(reader.schema.types) != {pa.binary()}:
                raise RefusedFile("it was replaced while it was read")
            first = 2  # the place of the batch's first record
            for batch in reader:
                count = batch.num_rows
                numbers = _RecordNumbers(first, sorted(one.number for one in skipped))
                first = numbers.of(count - 1) + 1 if count else first
                now = [one for one in skipped if one.number < first]
                skipped[:] = [one for one in skipped if one.number >= first]
                for one in now:
                    take(one)
                sound, bad = _text(batch)
                for index, reason in bad:
                    take(Rejected(numbers.of(index), reason, _shown(batch, index)))
                account.rows += sound.num_rows
                if sound.num_rows:
                    yield sound
    except pa.ArrowInvalid as error:
        # Arrow's messages quote the file.
        reason = "a record is longer than 8 MB" if "straddling" in str(error) else "it is not CSV"
        raise RefusedFile(reason) from None
    for one in skipped:
        take(one)
    if counting.open_quote or counting.records - 1 != account.records:
        raise RefusedFile(
            f"its quotes are broken: {counting.records - 1} records by line ends, {account.records} by fields"
        )


def _open(
    stream: _Counting, names: list[str], skip: Callable[[pa.csv.InvalidRow], Literal["skip"]]
) -> pa.csv.CSVStreamingReader:
    return pa.csv.open_csv(
        pa.PythonFile(stream, mode="r"),  # type: ignore[arg-type]  # the stubs know no Arrow files
        read_options=pa.csv.ReadOptions(block_size=BLOCK, use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.binary() for name in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def _text(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[tuple[int, str]]]:
    """The rows as text, and the indexes of those that are none: without any value, or not UTF-8."""
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


def _shown(batch: pa.RecordBatch, index: int) -> str:
    """Return a record as CSV again; bytes that are not text are shown in hexadecimal."""
    line = io.StringIO()
    values = [column[index].as_py() or b"" for column in batch.columns]
    csv.writer(line, lineterminator="").writerow([value.decode(errors="backslashreplace") for value in values])
    return line.getvalue()


class _RecordNumbers:
    """Where the rows of a batch stand in the file, between records that were skipped."""

    def __init__(self, first: int, skipped: list[int]) -> None:
        self._first = first
        self._skipped = [number for number in skipped if number >= first]

    def of(self, index: int) -> int:
        place = self._first + index
        for number in self._skipped:
            if number > place:
                break
            place += 1
        return place


class _Counting(io.RawIOBase):
    """Counts the records that pass, by line ends outside of quotes, and gives the last one its line end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last = _LINE_END
        self.records = 0
        self.open_quote = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        if len(chunk) < size and (chunk[-1:] or self._last) != _LINE_END:  # the file's end
            chunk += _LINE_END
        parts = chunk.split(_QUOTE)
        self.records += sum(part.count(_LINE_END) for part in parts[self.open_quote :: 2])
        self.open_quote ^= len(parts) % 2 == 0
        self._last = chunk[-1:] or _LINE_END
        return chunk
