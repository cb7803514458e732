"""Reading of FINEOS's list of leave administrators: CSV → the assignments of enabled administrators to units.

The file is read as a stream. The columns USERENABLED, FEIN, EMAIL and ORGUNIT_NAME are required; a row that lacks a
value in one of them is counted and skipped, like a row of a disabled administrator.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from nightferry import JobFailed
from paidleave.csv_lines import CsvLines, describe_csv_error
from paidleave.file_limits import check_blank_lines
from paidleave.text_stream import TextStream

SUFFIX = "-VBI_ORGUNIT_DETAILS_SOM.csv"
_COLUMNS = ("USERENABLED", "FEIN", "EMAIL", "ORGUNIT_NAME")


class MalformedFile(JobFailed):
    """The list of leave administrators cannot be parsed, and nothing was imported. Request a corrected file."""


@dataclass
class AdministratorRows:
    """The rows of a file. The counts are complete when all assignments were read."""

    stream: TextStream
    blank_line_limit: int
    rows: int = 0
    blank: int = 0
    incomplete: int = 0
    disabled: int = 0

    def read_assignments(self) -> Iterator[tuple[str, str, str]]:
        """Yield FEIN, email address and name of the unit for each assignment of an enabled administrator.

        Raises:
            MalformedFile: The file is not CSV in UTF-8, or lacks a column.
            LimitExceeded: The file is too large or has too many blank lines.
            UnusableText: The file is in UTF-16, or its lines end with CR only.
        """
        lines = CsvLines(self.stream)
        reader = csv.reader(lines, strict=True)
        try:
            header = [name.strip().upper() for name in next(reader, [])]
            if not lines.number:
                raise MalformedFile("the file is empty")
            if missing := [name for name in _COLUMNS if header.count(name) != 1]:
                raise MalformedFile(f"the header must contain {', '.join(missing)} once")
            places = [header.index(name) for name in _COLUMNS]
            lines.start_row()
            for row in reader:
                lines.start_row()
                self.rows += 1
                self.blank += not row
                check_blank_lines(self.blank, self.blank_line_limit, "Request a corrected file from FINEOS")
                if any(not value.isascii() and not _is_text(value) for value in row):
                    raise MalformedFile(f"line {reader.line_num} is not UTF-8")
                if not lines.is_ended and len(row) < len(header):
                    raise MalformedFile(f"line {reader.line_num}: the file ends within a row")
                values = [row[place].strip() for place in places] if len(row) == len(header) else []
                if not values or not all(values) or any("\0" in value for value in values):
                    self.incomplete += 1
                elif values[0] != "1":
                    self.disabled += 1
                else:
                    yield values[1].replace("-", ""), values[2], values[3]
        except csv.Error as error:
            raise MalformedFile(f"line {reader.line_num}: {describe_csv_error(error)}") from None


def _is_text(value: str) -> bool:
    """Return False if ``value`` has a byte that is not UTF-8, which is a surrogate character."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
