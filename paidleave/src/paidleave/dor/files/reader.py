"""Read a DOR file in bounded memory as batches of typed columns; every line is a record or rejected.

::

    bytes ── blocks of whole lines ── ordinary lines, as columns ─┬─ records, typed
                                   └─ every other line, one by one ┴─ rejected lines, with the reason

A line ends with LF. CR and LF characters at its end are not part of the line. The line end of the last line is
optional if the line has its full width. Otherwise the file is incomplete, as is an empty file. Line numbers include
blank and rejected lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from paidleave.dor.files import columns, line
from paidleave.dor.files.batch import REJECT_SCHEMA, Batch
from paidleave.dor.files.formats import Format, Layout
from paidleave.file_limits import ByteSource
from paidleave.text_stream import read_fully

BLOCK_BYTES = 8 * 1024 * 1024
_MAX_LINES_PER_BATCH = 50_000  # A block of records has fewer lines. This limits blocks of blank lines.

# CR may end a line, NUL is invalid, EF may begin a byte order mark. The others are white space in Python only.
_SPECIAL = (b"\r", b"\x00", b"\x1c", b"\x1d", b"\x1e", b"\x1f", b"\xef")
_UNUSUAL = rf"[\x00\x1c-\x1f]|^{line.BYTE_ORDER_MARK}"


def read(stream: ByteSource, layout: Layout, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Batch]:
    """Read ``stream``, the plain text of a file of ``layout``, in batches of about ``block_bytes``.

    The memory use is a small multiple of ``block_bytes`` for any length of file and lines, unless the caller retains
    batches, because their columns reference the block. Errors of the stream are not caught.

    Raises:
        IncompleteFile: The file has no lines, or its last line has no line end and not its full width.
    """
    first = 1
    for block in _read_blocks(stream, block_bytes):
        if block.has_no_end:
            line.check_end(block.lines[-1], layout)
        batch = _decode(block, layout, first)
        first += batch.lines
        yield batch
    if first == 1:
        raise line.IncompleteFile("the file has no content. Wait for its upload to finish, or request it again")


@dataclass(frozen=True)
class _Block:
    lines: list[bytes]  # without LF; a line above the limit is truncated to one byte more than the limit
    special: set[bytes]  # the characters of _SPECIAL that occur in the lines
    has_no_end: bool = False  # the last line has no line end


def _read_blocks(stream: ByteSource, size: int) -> Iterator[_Block]:
    limit = line.MAX_LINE_BYTES + 1
    begun = b""  # the incomplete last line of the previous block
    while data := read_fully(stream, size):
        lines = data.split(b"\n")
        lines[0] = begun + lines[0]
        special = {character for character in _SPECIAL if character in data or character in lines[0]}
        # Only the last block is smaller. Its last line needs no line end.
        has_no_end = len(data) < size and bool(lines[-1])
        begun = b"" if has_no_end else lines.pop()[:limit]
        for start in range(0, len(lines), _MAX_LINES_PER_BATCH):
            end = start + _MAX_LINES_PER_BATCH
            yield _Block(lines[start:end], special, has_no_end=has_no_end and end >= len(lines))
    if begun:
        yield _Block([begun], {character for character in _SPECIAL if character in begun}, has_no_end=True)


def _decode(block: _Block, layout: Layout, first: int) -> Batch:
    numbers = pl.int_range(first, first + len(block.lines), dtype=pl.Int64, eager=True)
    ordinary = _select_ordinary(block, numbers)
    records = {format.name: columns.decode(ordinary, format) for format in layout.formats}
    read_one_by_one: dict[str, list[tuple[object, ...]]] = {format.name: [] for format in layout.formats}
    rejects: list[tuple[object, ...]] = []
    for number in _list_unread(numbers, records):
        match line.decode(block.lines[number - first], layout):
            case line.Record(format, values):
                read_one_by_one[format.name].append((number, *values))
            case line.Reject(kind, field, reason):
                rejects.append((number, kind, field, reason))
    for format in layout.formats:
        if rows := read_one_by_one[format.name]:
            records[format.name] = _append_rows(records[format.name], rows, format)
    return Batch(
        lines=len(numbers),
        size=sum(map(len, block.lines)) + len(block.lines),
        records=records,
        rejects=pl.DataFrame(rejects, schema=REJECT_SCHEMA, orient="row"),
        original=lambda number: block.lines[number - first][: line.MAX_LINE_BYTES],
    )


def _select_ordinary(block: _Block, numbers: pl.Series) -> pl.DataFrame:
    """Return the lines that can be read as columns, as text: valid UTF-8, not too long, no unusual characters."""
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


def _list_unread(numbers: pl.Series, records: dict[str, pl.DataFrame]) -> list[int]:
    """Return the numbers of the lines that are not among the records."""
    done = pl.concat([frame["line_number"] for frame in records.values()])
    if len(done) == len(numbers):
        return []
    return numbers.filter(~numbers.is_in(done.implode())).to_list()


def _append_rows(frame: pl.DataFrame, rows: list[tuple[object, ...]], format: Format) -> pl.DataFrame:
    scale = 2 if all(_has_cents(value) for row in rows for value in row) else 18
    schema = columns.make_schema(format, scale)
    more = pl.DataFrame(rows, schema=schema, orient="row")
    return pl.concat([frame.cast(schema), more]).sort("line_number")


def _has_cents(value: object) -> bool:
    """Return False if ``value`` is an amount with more than two decimals."""
    return not isinstance(value, Decimal) or value == round(value, 2)
