"""The lines of a CSV from FINEOS as text for the module csv, each line and each row of bounded length."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from paidleave.text_stream import TextStream

ROW_LIMIT = 1 << 20
"""Maximum length of a row in characters. The module csv limits a single cell to 131,072."""


class CsvLines:
    """The physical lines of ``stream``, also of rows with line ends in quotes.

    Bytes that are not UTF-8 are surrogate characters.

    Attributes:
        number: The number of the last line.
        size: The number of characters of all lines so far.
        is_ended: True if the last line has a line end.
    """

    def __init__(self, stream: TextStream) -> None:
        self.number = 0
        self.size = 0
        self.is_ended = True
        self._text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", errors="surrogateescape", newline="")
        self._row_start = 0

    def __iter__(self) -> Iterator[str]:
        """Yield the lines with their line ends.

        Raises:
            csv.Error: A row is longer than the limit, usually because a quote is not closed.
        """
        while line := self._text.readline(ROW_LIMIT):
            self.number += 1
            self.size += len(line)
            self.is_ended = line.endswith(("\n", "\r"))
            if self.size - self._row_start >= ROW_LIMIT:
                raise csv.Error(f"the row is longer than {ROW_LIMIT} characters")
            yield line

    def start_row(self) -> None:
        """Begin the next row with the next line."""
        self._row_start = self.size


def describe_csv_error(error: csv.Error) -> str:
    """Return the cause of an error of the module csv in words for operators, without data."""
    return "a quote is not closed" if str(error) == "unexpected end of data" else str(error)
