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
from decimal import Decimal
from typing import Protocol, Self

import polars as pl

from paidleave.dor.files import columns, line
from paidleave.dor.files.formats import Format, Layout

BLOCK_BYTES = 8 * 1024 * 1024
_MOST_LINES = 50_000  # of a batch; a block of records has fewer, but it may consist of blank lines

REJECTS = pl.Schema(
    {"line_number": pl.Int64(), "record_kind": pl.String(), "field": pl.String(), "reason": pl.String()}
)
# CR may end a line; on the others polars and Python disagree whether they are white space, and NUL is not allowed.
_SPECIAL = (b"\r", b"\x00", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
_UNUSUAL = r"[\x00\x1c-\x1f]"


class Source(Protocol):
    """What bytes are read from: a file, a pipe, :class:`Digest`."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none only at the end."""


@dataclass(frozen=True)
class Batch:
    """Some consecutive lines of a file: ``lines`` of them, each either a record or rejected.

    ``records`` maps the name of each of the layout's formats to its records, in the order of the file. Columns are
    ``line_number`` (1 for the file's first line) and the format's fields: text or NULL, booleans, dates, times in
    UTC with microseconds, and amounts as exact decimals: Decimal(38, 2), and Decimal(38, 18) in all amount columns of
    a frame that holds an amount with more than two decimals.

    ``rejects`` has one row per rejected line: ``line_number``, ``record_kind`` (a format's name, NULL when the line
    doesn't show it), ``field`` (the first that cannot be read, NULL when the line as a whole is wrong) and
    ``reason``. No row holds a value of the line. ``raw`` are these lines' bytes in the same order, without LF; of
    a line longer than ``line.MAX_LINE_BYTES`` only that many.
    """

    lines: int
    records: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    raw: list[bytes]


def read(stream: Source, layout: Layout, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Batch]:
    """Read ``stream``, plain text of a file of ``layout``, in batches of about ``block_bytes``.

    Errors of the stream pass through. Memory is a small multiple of ``block_bytes``, however long the file and
    its lines are, as long as batches are not kept: a batch's columns refer to the block they were read from.
    """
    first = 1
    for block in _blocks(stream, block_bytes):
        batch = _decode(block, layout, first)
        first += batch.lines
        yield batch


@dataclass(frozen=True)
class _Block:
    lines: list[bytes]  # without LF; of a line over the limit only its first bytes, so many that it is over the limit
    special: set[bytes]  # those of _SPECIAL that any of the lines holds


def _blocks(stream: Source, size: int) -> Iterator[_Block]:
    limit = line.MAX_LINE_BYTES + 1
    begun = b""  # the line whose end hasn't been read yet
    while data := _fill(stream, size):
        lines = data.split(b"\n")
        lines[0] = begun + lines[0]
        special = {character for character in _SPECIAL if character in data or character in begun}
        begun = lines.pop()[:limit]
        for start in range(0, len(lines), _MOST_LINES):
            yield _Block(lines[start : start + _MOST_LINES], special)
    if begun:
        yield _Block([begun], {character for character in _SPECIAL if character in begun})


def _fill(stream: Source, size: int) -> bytes:
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


def _decode(block: _Block, layout: Layout, first: int) -> Batch:
    numbers = pl.int_range(first, first + len(block.lines), dtype=pl.Int64, eager=True)
    ordinary = _ordinary(block, numbers)
    records = {format.name: columns.decode(ordinary, format) for format in layout.formats}
    read_one_by_one: dict[str, list[tuple[object, ...]]] = {format.name: [] for format in layout.formats}
    rejects: list[tuple[object, ...]] = []
    raw: list[bytes] = []
    for number in _others(numbers, records):
        text = block.lines[number - first]
        match line.decode(text, layout):
            case line.Record(format, values):
                read_one_by_one[format.name].append((number, *values))
            case line.Reject(kind, field, reason):
                rejects.append((number, kind, field, reason))
                raw.append(text[: line.MAX_LINE_BYTES])
    for format in layout.formats:
        if rows := read_one_by_one[format.name]:
            records[format.name] = _with_rows(records[format.name], rows, format)
    return Batch(len(numbers), records, pl.DataFrame(rejects, schema=REJECTS, orient="row"), raw)


def _ordinary(block: _Block, numbers: pl.Series) -> pl.DataFrame:
    """The lines that can be read as columns, as text: valid UTF-8, not too long, without unusual characters."""
    lines = pl.DataFrame({"line_number": numbers, "line": pl.Series(block.lines, dtype=pl.Binary)})
    text = pl.col("line")
    lines = lines.filter(text.bin.size() <= line.MAX_LINE_BYTES)
    try:
        lines = lines.with_columns(text.cast(pl.String))
    except pl.exceptions.ComputeError:
        lines = lines.filter(pl.Series([_is_utf8(each) for each in lines["line"]])).with_columns(text.cast(pl.String))
    if b"\r" in block.special:
        lines = lines.with_columns(text.str.strip_chars_end("\r"))
    if block.special - {b"\r"}:
        lines = lines.filter(~text.str.contains(_UNUSUAL))
    return lines


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _others(numbers: pl.Series, records: dict[str, pl.DataFrame]) -> list[int]:
    """The numbers of the lines that are not among the records."""
    done = pl.concat([frame["line_number"] for frame in records.values()])
    if len(done) == len(numbers):
        return []
    return numbers.filter(~numbers.is_in(done.implode())).to_list()


def _with_rows(frame: pl.DataFrame, rows: list[tuple[object, ...]], format: Format) -> pl.DataFrame:
    scale = 2 if all(_has_cents(value) for row in rows for value in row) else 18
    schema = columns.schema(format, scale)
    more = pl.DataFrame(rows, schema=schema, orient="row")
    return pl.concat([frame.cast(schema), more]).sort("line_number")


def _has_cents(value: object) -> bool:
    """Whether a value, if it is an amount, has two decimals at most."""
    return not isinstance(value, Decimal) or value == round(value, 2)


class Digest:
    """A stream that passes on what it reads from ``stream`` and computes the SHA-256 of every byte.

    The digest is computed in a thread of its own, beside what the reader does; leaving the ``with`` block ends it.
    """

    def __init__(self, stream: Source) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._pending: Future[None] | None = None

    def read(self, size: int, /) -> bytes:
        """What ``stream`` gives."""
        data = self._stream.read(size)
        self._wait()
        self._pending = self._thread.submit(self._sha256.update, data)
        return data

    def hexdigest(self) -> str:
        """The digest of what was read so far, as 64 hexadecimal digits."""
        self._wait()
        return self._sha256.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None
