"""Declarations of the flat files exchanged with the Department of Revenue (DOR).

Source: DOR's file specifications. A record is one line of fixed width. Widths count characters (code points) of the
decoded text, not bytes. Offsets and line widths are computed from the field widths.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property


class FieldType(Enum):
    """The type of a field, which is trimmed of white space on both sides before it is read."""

    TEXT = "text"
    """Left-justified text. Blank is NULL."""
    BOOL = "bool"
    """``T`` is true. Anything else, including blank, is false."""
    DATE = "date"
    """``YYYYMMDD``, a valid date, required."""
    DATETIME = "datetime"
    """``YYYYMMDDHHMMSS`` in UTC, required."""
    AMOUNT = "amount"
    """Right-justified exact decimal in dollars with an optional sign and decimal point, required."""
    OPTIONAL_AMOUNT = "optional amount"
    """Like AMOUNT; blank is 0."""


@dataclass(frozen=True)
class Field:
    """A field of a record: its name, its width in characters and its type."""

    name: str
    width: int
    type: FieldType = FieldType.TEXT


@dataclass(frozen=True)
class Format:
    """A kind of record. ``letter`` is its first character, or None if the file has only one kind."""

    name: str
    letter: str | None
    fields: tuple[Field, ...]

    @cached_property
    def width(self) -> int:
        """The number of characters of a line without its line end."""
        return sum(field.width for field in self.fields)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """The offset of each field, in characters from the start of the line."""
        offsets: dict[str, int] = {}
        end = 0
        for field in self.fields:
            offsets[field.name] = end
            end += field.width
        return offsets

    def get_span(self, name: str) -> slice:
        """Return the slice of field ``name`` in a line.

        Raises:
            KeyError: The format does not have this field.
        """
        width = next((field.width for field in self.fields if field.name == name), 0)
        return slice(self.offsets[name], self.offsets[name] + width)


SHORTEST_RETURNING_ROW = len("100000001,,,,1/1/2021")
"""The size of the shortest valid row of the CSV of returning employers, in bytes without the line end."""


@dataclass(frozen=True)
class Layout:
    """A kind of file: its name, the prefix of its file names and the kinds of its records.

    ``suffix_pattern`` is a regular expression for the rest of the file name. For DOR files, it matches digits, usually
    a timestamp ``YYYYMMDDHHMMSS``, without a file extension.
    """

    name: str
    prefix: str
    formats: tuple[Format, ...]
    suffix_pattern: str = "[0-9]+"

    @property
    def shortest_line_bytes(self) -> int:
        """The size of the shortest valid line in bytes, with its LF."""
        return min(format.width or SHORTEST_RETURNING_ROW for format in self.formats) + 1

    @property
    def pattern(self) -> str:
        """The file name for people, with a placeholder for the rest after the prefix."""
        return f"{self.prefix}<time>" if self.suffix_pattern == "[0-9]+" else f"{self.prefix}….csv"

    def format_file_name(self, timestamp: str) -> str:
        """Return the file name with ``timestamp``.

        Raises:
            ValueError: The timestamp contains other characters than digits.
        """
        name = self.prefix + timestamp
        if not self.matches(name):
            raise ValueError(f"the timestamp in a DOR file name must be digits such as 20200519120622: {timestamp}")
        return name

    def parse_time(self, name: str) -> datetime | None:
        """Return the time ``YYYYMMDDHHMMSS`` in ``name``, read as UTC, or None if it has no valid one."""
        digits = name.removeprefix(self.prefix)
        with suppress(ValueError):
            if re.fullmatch("[0-9]{12}[0-5][0-9]", digits):
                return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return None

    def matches(self, name: str) -> bool:
        """Return True if ``name`` is the name of a complete file; ``.part`` and the like mark an unfinished upload."""
        return re.fullmatch(re.escape(self.prefix) + self.suffix_pattern, name) is not None


_DATE, _DATETIME, _BOOL = FieldType.DATE, FieldType.DATETIME, FieldType.BOOL
_AMOUNT, _OPTIONAL_AMOUNT = FieldType.AMOUNT, FieldType.OPTIONAL_AMOUNT

EMPLOYER = Format(
    "employer",
    None,
    (
        Field("account_key", 11),
        Field("employer_name", 255),
        Field("fein", 14),
        Field("address_street", 255),
        Field("address_city", 30),
        Field("address_state", 2),
        Field("address_zip", 9),
        Field("address_country", 3),
        Field("employer_dba", 255),
        Field("family_exemption", 1, _BOOL),
        Field("medical_exemption", 1, _BOOL),
        Field("exemption_commence_date", 8, _DATE),
        Field("exemption_cease_date", 8, _DATE),
        Field("updated_date", 14, _DATETIME),
    ),
)
"""An employer. The exemption dates are 9999-12-31 if the employer is not exempt."""

WAGE_A = Format(
    "employer quarter",
    "A",
    (
        Field("record_type", 1),
        Field("account_key", 11),
        Field("filing_period", 8, _DATE),
        Field("employer_name", 255),
        Field("employer_fein", 14),
        Field("amended_flag", 1, _BOOL),
        Field("pfm_account_id", 14),
        Field("total_pfml_contribution", 20, _AMOUNT),
        Field("received_date", 8, _DATE),
        Field("updated_date", 14, _DATETIME),
    ),
)
"""An employer's contributions in one quarter; ``filing_period`` is the last day of the quarter."""

WAGE_B = Format(
    "employee quarter",
    "B",
    (
        Field("record_type", 1),
        Field("account_key", 11),
        Field("filing_period", 8, _DATE),
        Field("employee_first_name", 255),
        Field("employee_last_name", 255),
        Field("employee_ssn", 9),
        Field("independent_contractor", 1, _BOOL),
        Field("opt_in", 1, _BOOL),
        Field("employee_ytd_wages", 20, _AMOUNT),
        Field("employee_qtr_wages", 20, _AMOUNT),
        Field("employee_medical", 20, _AMOUNT),
        Field("employer_medical", 20, _AMOUNT),
        Field("employee_family", 20, _AMOUNT),
        Field("employer_family", 20, _AMOUNT),
    ),
)
"""An employee's wages and contributions with one employer in one quarter."""

RESPONSE_A = Format(
    "response employer quarter",
    "A",
    (
        Field("record_type", 1),
        Field("employer_id_type", 10),
        Field("employer_id", 14),
        Field("quarter", 8, _DATE),
        Field("employer_name", 255),
        Field("employee_wages", 20, _OPTIONAL_AMOUNT),
    ),
)
"""An employer quarter in a response or exempt file. The B records that follow belong to it.

DOR's samples have filler in ``employer_id_type``, so every value is valid there, as in ``id_type`` of B records.
"""

RESPONSE_B = Format(
    "response employee quarter",
    "B",
    (
        Field("record_type", 1),
        Field("id_type", 10),
        Field("id", 9),
        Field("first_name", 255),
        Field("last_name", 255),
        Field("quarter_wages", 20, _OPTIONAL_AMOUNT),
    ),
)
"""An employee's wages in the employer quarter of the last A record before it."""

SUBMISSION = Format(
    "submission",
    None,
    (Field("id_type", 10), Field("fein", 14), Field("first_requested_quarter", 8, _DATE)),
)
"""An employer returning to the state plan, as sent to DOR."""

RETURNING = Format("returning employer", None, ())
"""An employer returning to the state plan, as a row of a CSV. Its columns are identified by name, not by width."""

EMPLOYER_FILE = Layout("employer file", "DORDFMLEMP_", (EMPLOYER,))
WAGE_FILE = Layout("wage file", "DORDFML_", (WAGE_A, WAGE_B))
RESPONSE_FILE = Layout("pending filing response", "DORDUADFML_SUBMISSION_", (RESPONSE_A, RESPONSE_B))
EXEMPT_FILE = Layout("exempt employers", "DORDUADFML_", (RESPONSE_A, RESPONSE_B))
SUBMISSION_FILE = Layout("pending filing submission", "DORDUADFML_SUBMISSION_", (SUBMISSION,))
RETURNING_CSV = Layout(
    "employers returning", "CompaniesReturningToStatePlan", (RETURNING,), suffix_pattern=r"[^/]*\.(?i:csv)"
)
DOR_LAYOUTS = (EMPLOYER_FILE, WAGE_FILE, RESPONSE_FILE, EXEMPT_FILE)
"""All kinds of files in the folder for files from DOR."""
