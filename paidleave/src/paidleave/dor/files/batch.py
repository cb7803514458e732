"""Batches of consecutive lines, the common result of all readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

REJECT_SCHEMA = pl.Schema(
    {"line_number": pl.Int64(), "record_kind": pl.String(), "field": pl.String(), "reason": pl.String()}
)


@dataclass(frozen=True)
class Batch:
    """Consecutive lines of a file. Each line is either a record or rejected.

    Attributes:
        lines: The number of lines.
        size: The number of bytes of the lines with their LF. Only the first bytes of very long lines are counted.
        records: The records in file order, by the name of their format. The columns are ``line_number`` (the first
            line of the file is 1) and the fields of the format: text or NULL, booleans, dates, times in UTC with
            microseconds, and exact decimals. Amounts are Decimal(38, 2). If an amount has more than two decimals, all
            amount columns of the frame are Decimal(38, 18).
        rejects: One row per rejected line: ``line_number``, ``record_kind`` (the name of a format, or NULL if it is
            unknown), ``field`` (the first invalid field, or NULL if the line as a whole is invalid) and ``reason``. No
            row contains a value of the line.
        original: A function that returns the bytes of a line by its number, without LF and limited to
            ``line.MAX_LINE_BYTES``. A reader may retain the rejected lines only, if screening rejects no further lines.
        empty_rows: The number of rows of a CSV whose cells are all empty. They are skipped and not part of ``lines``.
    """

    lines: int
    size: int
    records: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    original: Callable[[int], bytes]
    empty_rows: int = 0

    def select_originals(self, rejects: pl.DataFrame) -> list[bytes]:
        """Return the bytes of the lines in ``rejects``, in the same order."""
        return [self.original(number) for number in rejects["line_number"]]
