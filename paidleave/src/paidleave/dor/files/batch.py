"""Some consecutive lines of a file, read: what every reader gives, whatever the file looks like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

REJECT_SCHEMA = pl.Schema(
    {"line_number": pl.Int64(), "record_kind": pl.String(), "field": pl.String(), "reason": pl.String()}
)


@dataclass(frozen=True)
class Batch:
    """Some consecutive lines of a file: ``lines`` of them, each either a record or rejected.

    ``records`` maps the name of each of the layout's formats to its records, in the order of the file. Columns are
    ``line_number`` (1 for the file's first line) and the format's fields: text or NULL, booleans, dates, times in
    UTC with microseconds, and amounts as exact decimals: Decimal(38, 2), and Decimal(38, 18) in all amount columns of
    a frame that holds an amount with more than two decimals.

    ``rejects`` has one row per rejected line: ``line_number``, ``record_kind`` (a format's name, NULL when the line
    doesn't show it), ``field`` (the first that cannot be read, NULL when the line as a whole is wrong) and
    ``reason``. No row holds a value of the line.

    ``original`` returns the bytes of a line by its number, without LF; of a line longer than ``line.MAX_LINE_BYTES``
    only that many. A reader whose rules reject nothing more retains the rejected lines only.
    """

    lines: int
    records: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    original: Callable[[int], bytes]

    def originals(self, rejects: pl.DataFrame) -> list[bytes]:
        """Return the bytes of the lines of ``rejects``, in their order."""
        return [self.original(number) for number in rejects["line_number"]]
