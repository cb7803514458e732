"""Read a DOR file as batches of typed columns, in bounded memory, with every line accounted for.

::

    bytes ── blocks of whole lines ── ordinary lines, as columns ─┬─ records, typed
                                   └─ every other line, one by one ┴─ rejected lines, with the reason

A line ends with LF; CR and LF characters at its end do not belong to it. The last line counts with or without a
line end. A line number is that of the file: blank and rejected lines count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import RawIOBase
from typing import BinaryIO

import polars as pl

from paidleave.dor import columns, line
from paidleave.dor.formats import Format, Layout

BLOCK_BYTES = 8 * 1024 * 1024

_REJECTS = pl.Schema(
    {"line_number": pl.Int64(), "record_kind": pl.String(), "field": pl.String(), "reason": pl.String()}
)
# NUL, and the separators of which polars and Python disagree whether they are white space.
_UNUSUAL = [b"\x00", b"\x1c", b"\x1d", b"\x1e", b"\x1f"]
_UNUSUAL_PATTERN = "[\\x00\\x1c-\\x1f]"


@dataclass(frozen=True)
class Batch:
    """Some consecutive lines of a file: ``lines`` of them, each either a record or rejected.

    ``records`` maps the name of each of the layout's formats to its records, in the order of the file. Columns are
    ``line_number`` (1 for the file's first line) and the format's fields: text or NULL, booleans, dates, times in
    UTC with microseconds, and amounts as the text that DOR wrote, trimmed: an optional sign, digits, an optional
    point. PostgreSQL's ``numeric`` reads them to the last digit.

    ``rejects`` has one row per rejected line: ``line_number``, ``record_kind`` (a format's name, NULL when the line
    doesn't show it), ``field`` (the first that cannot be read, NULL when the line as a whole is wrong) and
    ``reason``. No row holds a value of the line. ``raw`` are these lines' bytes in the same order, without LF; of
    a line longer than ``line.MAX_LINE_BYTES`` only that many.
    """

    lines: int
    records: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    raw: list[bytes]


def read(stream: BinaryIO, layout: Layout, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Batch]:
    """Read ``stream``, plain text of a file of ``layout``, in batches of about ``block_bytes``.

    Errors of the stream pass through. Memory is a small multiple of ``block_bytes``, however long the file and
    its lines are, as long as batches are not kept: a batch's columns refer to the block they were read from.
    """
    first = 1
    for block in _blocks(stream, block_bytes):
        batch = _decode(block, layout, first)
        first += batch.lines
        yield batch


def _blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Whole lines, joined by LF, without the LF of the last one. A line is cut to one byte over the limit."""
    limit = line.MAX_LINE_BYTES + 1
    begun = b""  # of a line whose end hasn't been read yet
    while data := _fill(stream, size):
        end = data.rfind(b"\n")
        if end < 0:
            begun = (begun + data)[:limit]
            continue
        yield begun + data[:end]
        begun = data[end + 1 : end + 1 + limit]
    if begun:
        yield begun


def _fill(stream: BinaryIO, size: int) -> bytes:
    """``size`` bytes, fewer only at the end: a pipe gives as much as it has."""
    data = stream.read(size)
    if not data or len(data) == size:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := stream.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def _decode(block: bytes, layout: Layout, first: int) -> Batch:
    raw = block.split(b"\n")
    numbers = pl.int_range(first, first + len(raw), dtype=pl.Int64, eager=True)
    ordinary = _ordinary(block, raw, numbers)
    records = {format.name: columns.decode(ordinary, format) for format in layout.formats}
    read_one_by_one: dict[str, list[tuple[object, ...]]] = {format.name: [] for format in layout.formats}
    rejects: list[tuple[object, ...]] = []
    rejected: list[bytes] = []
    for number in _others(numbers, records):
        text = raw[number - first]
        match line.decode(text, layout):
            case line.Record(format, values):
                read_one_by_one[format.name].append((number, *values))
            case line.Reject(kind, field, reason):
                rejects.append((number, kind, field, reason))
                rejected.append(text[: line.MAX_LINE_BYTES])
    for format in layout.formats:
        if rows := read_one_by_one[format.name]:
            records[format.name] = _with_rows(records[format.name], rows, format)
    return Batch(len(raw), records, pl.DataFrame(rejects, schema=_REJECTS, orient="row"), rejected)


def _ordinary(block: bytes, raw: list[bytes], numbers: pl.Series) -> pl.DataFrame:
    """The lines that can be read as columns, as text: valid UTF-8, not too long, without unusual characters."""
    lines = pl.DataFrame({"line_number": numbers, "raw": pl.Series(raw, dtype=pl.Binary)})
    text = pl.col("raw").cast(pl.String, strict=False)
    if b"\r" in block:
        text = text.str.strip_chars_end("\r")
    ordinary = pl.col("raw").bin.size() <= line.MAX_LINE_BYTES
    lines = lines.filter(ordinary).select("line_number", line=text)
    if any(character in block for character in _UNUSUAL):
        lines = lines.filter(~pl.col("line").str.contains(_UNUSUAL_PATTERN))
    return lines.filter(pl.col("line").is_not_null())


def _others(numbers: pl.Series, records: dict[str, pl.DataFrame]) -> list[int]:
    """The numbers of the lines that are not among the records."""
    done = pl.concat([frame["line_number"] for frame in records.values()])
    if len(done) == len(numbers):
        return []
    return numbers.filter(~numbers.is_in(done.implode())).to_list()


def _with_rows(frame: pl.DataFrame, rows: list[tuple[object, ...]], format: Format) -> pl.DataFrame:
    more = pl.DataFrame(rows, schema=columns.schema(format), orient="row")
    return pl.concat([frame, more]).sort("line_number")


class Digest(RawIOBase):
    """A stream that passes on what it reads from ``stream`` and computes the SHA-256 of every byte.

    The digest is computed in a thread beside the reader: it costs a third of the time of decoding.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._pending: Future[None] | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._wait()
        self._pending = self._thread.submit(self._sha256.update, data)
        return data

    def hexdigest(self) -> str:
        """The digest of what was read so far, 64 hexadecimal digits."""
        self._wait()
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Stop the thread; the underlying stream stays open."""
        self._thread.shutdown()
        super().close()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None
