"""The lines of a file ``rejected/NAME.rej`` with their numbers in the received file.

The accepted lines are missing in that file. A B line of an exempt file or response belongs to the A line before it, so
the lines after accepted ones must not belong to a rejected line before them. A separator stands for the accepted lines:
a line that is not a record of any kind, and that may have been an A line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import polars as pl
import psycopg

from nightferry import JobFailed
from paidleave.dor.files.batch import Batch
from paidleave.file_limits import ByteSource

_CHUNK_BYTES = 1024 * 1024
_SEPARATOR = b"?\n"


@dataclass(frozen=True)
class RejectedLines:
    """The rejected lines of an import. ``stored`` has the columns ``line_number``, in order, and ``is_open``.

    A line is open if no later import has processed it.
    """

    stored: pl.DataFrame

    @classmethod
    def read(cls, connection: psycopg.Connection[Any], import_log_id: int) -> Self:
        """Read the numbers of the lines that the import rejected."""
        rows = connection.execute(
            "SELECT line_number, superseded_by IS NULL FROM dor_rejected_line WHERE import_log_id = %s"
            " ORDER BY line_number",
            [import_log_id],
        ).fetchall()
        return cls(pl.DataFrame(rows, schema={"line_number": pl.Int64, "is_open": pl.Boolean}, orient="row"))

    @cached_property
    def open(self) -> pl.Series:
        """The numbers of the open lines, in order."""
        return self.stored.filter("is_open")["line_number"]

    def select_open(self, stream: ByteSource) -> ByteSource:
        """Return the open lines of ``stream``, with a separator for each gap in their numbers."""
        return _Source(self._select_open(stream))

    def _select_open(self, stream: ByteSource) -> Iterator[bytes]:
        lines = _split_lines(stream)
        last = 0
        for number, is_open in self.stored.iter_rows():
            line = next(lines, None)
            if line is None:
                raise self._make_count_error("fewer")
            if is_open:
                yield line if number == last + 1 else _SEPARATOR + line
                last = number
        if next(lines, None) is not None:
            raise self._make_count_error("more")

    def _make_count_error(self, difference: str) -> JobFailed:
        return JobFailed(
            f"the file in 'rejected' has {difference} lines than the {self.stored.height} in dor_rejected_line. "
            "Restore it, or import the received file again with REIMPORT."
        )

    def renumber(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Replace the line numbers of :meth:`select_open` by those in the received file.

        A separator gets the number of the accepted line before the next open one.
        """
        is_gap = self.open - self.open.shift(1, fill_value=0) != 1
        numbers = pl.concat([self.open, (self.open - 1).filter(is_gap)]).sort()
        for batch in batches:
            yield _renumber(batch, numbers)

    def drop_separators(self, batch: Batch) -> Batch:
        """Return ``batch`` without the separators among its rejects."""
        rejects = batch.rejects.filter(pl.col("line_number").is_in(self.open.implode()))
        return replace(batch, lines=batch.lines - batch.rejects.height + rejects.height, rejects=rejects)


def _renumber(batch: Batch, numbers: pl.Series) -> Batch:
    def renumber(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(numbers.gather(frame["line_number"] - 1).alias("line_number"))

    return replace(
        batch,
        records={kind: renumber(frame) for kind, frame in batch.records.items()},
        rejects=renumber(batch.rejects),
        original=_find_original(batch, numbers),
    )


def _find_original(batch: Batch, numbers: pl.Series) -> Callable[[int], bytes]:
    return lambda number: batch.original(int(numbers.search_sorted(number)) + 1)


def _split_lines(stream: ByteSource) -> Iterator[bytes]:
    """Yield the lines with their LF."""
    begun = b""
    while data := stream.read(_CHUNK_BYTES):
        *lines, begun = (begun + data).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if begun:
        yield begun + b"\n"


class _Source:
    """A stream of the concatenated ``pieces``."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._begun = b""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, or empty bytes only at the end."""
        parts, length = [self._begun], len(self._begun)
        while length < size and (piece := next(self._pieces, b"")):
            parts.append(piece)
            length += len(piece)
        data = b"".join(parts)
        self._begun = data[size:]
        return data[:size]
