"""Reader for the vendor's extracts: RFC 4180 CSV in UTF-8 with a header, streamed as text columns.

Every record becomes a row or a rejected record. The records are also counted by their line ends, as a check. If the two
counts differ, the file's quotes are unbalanced and the ends of its records are unknown, so the file is refused.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from paidleave.exchange.errors import RefusedFile
from paidleave.file_limits import LimitExceeded, RejectLimits, count_most, limit_size
from paidleave.job_settings import FileLimitSettings
from paidleave.text_stream import TextStream, UnusableText, read_fully

BLOCK_BYTES = 8 << 20
"""Size of the blocks that are read and parsed; a record must not be longer."""

COLUMN_LIMIT = 2_000
_HEADER_LIMIT_BYTES = 1 << 20
_NO_VALUE = "no value"
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


@dataclass(frozen=True)
class ExtractLimits:
    """The limits of a file of ``size`` bytes: its size in MB and its rejected records."""

    size: int
    megabytes: int
    rejects: RejectLimits

    def check_size(self) -> None:
        """Raise LimitExceeded if the file is too large."""
        limit = limit_size(self.megabytes)
        if self.size > limit.size:
            raise LimitExceeded(limit.text)

    def check(self, counts: RecordCounts, names: list[str], *, at_end: bool = False) -> None:
        """Check the rejected records so far, records without a value as blank lines. Raises LimitExceeded.

        The shortest valid record has one character and the separators.
        """
        rejected = counts.rejected.total()
        most = counts.records if at_end else count_most(rejected, 0, self.size, len(names) + 1)
        self.rejects.check(counts.records, rejected, counts.rejected[_NO_VALUE], max(most, counts.records))


def build_limits(settings: FileLimitSettings, size: int, share: float, share_setting: str) -> ExtractLimits:
    """Return the limits that the settings declare for a file of ``size`` bytes."""
    rejects = RejectLimits(
        share=share,
        rejected=settings.rejected_line_limit,
        blank=settings.blank_line_limit,
        share_setting=share_setting,
        table="the manifest",
        fix="Request a corrected file from FINEOS",
        unit="records",
    )
    return ExtractLimits(size, settings.file_size_limit_mb, rejects)


def read_header(stream: BinaryIO) -> list[str]:
    """Return the column names. Raises RefusedFile."""
    try:
        start = read_fully(TextStream(stream), _HEADER_LIMIT_BYTES)
    except UnusableText as error:
        raise RefusedFile(str(error)) from None
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
    if len(names) > COLUMN_LIMIT:
        raise RefusedFile(f"the header has more than {COLUMN_LIMIT} columns")
    if len({name.strip().casefold() for name in names}) < len(names):
        raise RefusedFile("two columns have the same name")
    return names


def read_rows(
    stream: BinaryIO,
    names: list[str],
    limits: ExtractLimits,
    counts: RecordCounts,
    reject: Callable[[RejectedRecord], None],
) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches of text columns, with NULL for empty fields; pass the other records to ``reject``.

    Raises RefusedFile.
    """
    try:
        limits.check_size()
        yield from _read_rows(stream, names, limits, counts, reject)
    except (LimitExceeded, UnusableText) as error:
        raise RefusedFile(str(error)) from None


def _read_rows(
    stream: BinaryIO,
    names: list[str],
    limits: ExtractLimits,
    counts: RecordCounts,
    reject: Callable[[RejectedRecord], None],
) -> Iterator[pa.RecordBatch]:
    counting = _CountingReader(TextStream(stream))
    skipped: list[RejectedRecord] = []

    def skip(row: pa.csv.InvalidRow) -> Literal["skip", "error"]:
        if len(skipped) > limits.rejects.rejected:
            return "error"
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
                valid, invalid = _decode(batch, limits.rejects.rejected + 1)
                for index, reason in invalid:
                    count_and_reject(RejectedRecord(numbers.find(index), reason, _format_record(batch, index)))
                counts.rows += valid.num_rows
                limits.check(counts, names)
                if valid.num_rows:
                    yield valid
    except pa.ArrowInvalid as error:
        limits.rejects.check_number(len(skipped))
        # Arrow's messages quote the file, so they must not get into the log.
        reason = "a record is longer than 8 MB" if "straddling" in str(error) else "it is not CSV"
        raise RefusedFile(reason) from None
    for record in skipped:
        count_and_reject(record)
    limits.check(counts, names, at_end=True)
    if counting.open_quote or counting.records - 1 != counts.records:
        raise RefusedFile(
            f"its quotes are unbalanced: {counting.records - 1} records by line ends, {counts.records} by fields"
        )


def _open_csv(
    stream: _CountingReader, names: list[str], skip: Callable[[pa.csv.InvalidRow], Literal["skip", "error"]]
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


def _decode(batch: pa.RecordBatch, most: int) -> tuple[pa.RecordBatch, list[tuple[int, str]]]:
    """Return the valid rows as text, and index and reason of the invalid ones: without any value, or not UTF-8.

    At most about ``most`` invalid rows are returned, because more refuse the file.
    """
    bad: dict[int, str] = {}
    empty = batch.column(0).is_null()
    for column in batch.columns[1:]:
        empty = pc.and_(empty, column.is_null())
    if pc.any(empty).as_py():
        bad |= {index: _NO_VALUE for index in pc.indices_nonzero(empty)[:most].to_pylist() if index is not None}
    for column in batch.columns:
        try:
            column.cast(pa.string())
        except pa.ArrowInvalid:
            invalid = (index for index, value in enumerate(column) if not _is_utf8(value.as_py()))
            bad |= dict.fromkeys(islice(invalid, most), "not UTF-8")
    if len(bad) >= most:
        batch = batch.slice(0, 0)
    elif bad:
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
        # The number of rows before each skipped record.
        self._rows_before = [number - first - place for place, number in enumerate(n for n in skipped if n >= first)]

    def find(self, index: int) -> int:
        return self._first + index + bisect_right(self._rows_before, index)


class _CountingReader(io.RawIOBase):
    """Counts the records of a stream by line ends outside of quotes, and adds a missing line end to the last one."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._last = _LINE_END
        self.records = 0
        self.open_quote = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = read_fully(self._stream, size)
        if len(chunk) < size and (chunk[-1:] or self._last) != _LINE_END:  # end of file
            chunk += _LINE_END
        parts = chunk.split(_QUOTE)
        self.records += sum(part.count(_LINE_END) for part in parts[self.open_quote :: 2])
        self.open_quote ^= len(parts) % 2 == 0
        self._last = chunk[-1:] or _LINE_END
        return chunk
