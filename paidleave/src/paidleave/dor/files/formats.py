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
    """A field of a record: its name, its width in characters, its type, and its meaning for readers of a file."""

    name: str
    width: int
    type: FieldType = FieldType.TEXT
    meaning: str = ""


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


_TEXT, _DATE, _DATETIME, _BOOL = FieldType.TEXT, FieldType.DATE, FieldType.DATETIME, FieldType.BOOL
_AMOUNT, _OPTIONAL_AMOUNT = FieldType.AMOUNT, FieldType.OPTIONAL_AMOUNT

EMPLOYER = Format(
    "employer",
    None,
    (
        Field("account_key", 11, _TEXT, "DOR's account of the employer, in digits, by which wages find their employer"),
        Field("employer_name", 255, _TEXT, "legal name"),
        Field("fein", 14, _TEXT, "employer identification number, nine digits"),
        Field("address_street", 255, _TEXT, "street"),
        Field("address_city", 30, _TEXT, "city, can be blank"),
        Field("address_state", 2, _TEXT, "code of the U.S. state, or of a region abroad"),
        Field("address_zip", 9, _TEXT, "ZIP code without a dash, or a postal code abroad"),
        Field("address_country", 3, _TEXT, "country, in the three letters of ISO 3166"),
        Field("employer_dba", 255, _TEXT, "name under which the employer does business, can be blank"),
        Field("family_exemption", 1, _BOOL, "exemption for family leave, because of a private plan"),
        Field("medical_exemption", 1, _BOOL, "exemption for medical leave, because of a private plan"),
        Field("exemption_commence_date", 8, _DATE, "first day of the exemption, 99991231 without one"),
        Field("exemption_cease_date", 8, _DATE, "last day of the exemption, 99991231 without one"),
        Field(
            "updated_date",
            14,
            _DATETIME,
            "time of the last change at DOR; an older change than the stored one is not applied",
        ),
    ),
)
"""An employer. The exemption dates are 9999-12-31 if the employer is not exempt."""

WAGE_A = Format(
    "employer quarter",
    "A",
    (
        Field("record_type", 1, _TEXT, "the letter of the record"),
        Field("account_key", 11, _TEXT, "DOR's account of the employer, in digits, by which wages find their employer"),
        Field("filing_period", 8, _DATE, "last day of the quarter"),
        Field("employer_name", 255, _TEXT, "not stored: the employer file has the name"),
        Field("employer_fein", 14, _TEXT, "not stored: the account key names the employer"),
        Field("amended_flag", 1, _BOOL, "not stored"),
        Field("pfm_account_id", 14, _TEXT, "the employer's account for paid leave at DOR"),
        Field("total_pfml_contribution", 20, _AMOUNT, "contributions of the employer in the quarter"),
        Field("received_date", 8, _DATE, "day on which DOR received the filing"),
        Field(
            "updated_date",
            14,
            _DATETIME,
            "time of the last change at DOR; an older change than the stored one is not applied",
        ),
    ),
)
"""An employer's contributions in one quarter; ``filing_period`` is the last day of the quarter."""

WAGE_B = Format(
    "employee quarter",
    "B",
    (
        Field("record_type", 1, _TEXT, "the letter of the record"),
        Field("account_key", 11, _TEXT, "DOR's account of the employer, in digits, by which wages find their employer"),
        Field("filing_period", 8, _DATE, "last day of the quarter"),
        Field("employee_first_name", 255, _TEXT, "first name; _ stands for a blank"),
        Field("employee_last_name", 255, _TEXT, "last name; _ stands for a blank"),
        Field("employee_ssn", 9, _TEXT, "social security number, or an ITIN, which begins with 9; nine digits"),
        Field("independent_contractor", 1, _BOOL, "person is an independent contractor"),
        Field("opt_in", 1, _BOOL, "person has opted in"),
        Field("employee_ytd_wages", 20, _AMOUNT, "wages since the start of the year"),
        Field("employee_qtr_wages", 20, _AMOUNT, "wages of the quarter"),
        Field("employee_medical", 20, _AMOUNT, "medical leave contribution that the employee paid"),
        Field("employer_medical", 20, _AMOUNT, "medical leave contribution that the employer paid"),
        Field("employee_family", 20, _AMOUNT, "family leave contribution that the employee paid"),
        Field("employer_family", 20, _AMOUNT, "family leave contribution that the employer paid"),
    ),
)
"""An employee's wages and contributions with one employer in one quarter."""

RESPONSE_A = Format(
    "response employer quarter",
    "A",
    (
        Field("record_type", 1, _TEXT, "the letter of the record"),
        Field("employer_id_type", 10, _TEXT, "nominally FEIN; not checked"),
        Field("employer_id", 14, _TEXT, "employer identification number, nine digits"),
        Field("quarter", 8, _DATE, "last day of the quarter"),
        Field("employer_name", 255, _TEXT, "name of a new employer, also as the name under which it does business"),
        Field("employee_wages", 20, _OPTIONAL_AMOUNT, "not stored"),
    ),
)
"""An employer quarter in a response or exempt file. The B records that follow belong to it.

DOR's samples have filler in ``employer_id_type``, so every value is valid there, as in ``id_type`` of B records.
"""

RESPONSE_B = Format(
    "response employee quarter",
    "B",
    (
        Field("record_type", 1, _TEXT, "the letter of the record"),
        Field("id_type", 10, _TEXT, "nominally SSN; not checked"),
        Field("id", 9, _TEXT, "social security number or ITIN, nine digits"),
        Field("first_name", 255, _TEXT, "first name; _ stands for a blank"),
        Field("last_name", 255, _TEXT, "last name; _ stands for a blank"),
        Field("quarter_wages", 20, _OPTIONAL_AMOUNT, "wages of the quarter"),
    ),
)
"""An employee's wages in the employer quarter of the last A record before it."""

SUBMISSION = Format(
    "submission",
    None,
    (
        Field("id_type", 10, _TEXT, "FEIN"),
        Field("fein", 14, _TEXT, "employer identification number, nine digits"),
        Field("first_requested_quarter", 8, _DATE, "last day of the first quarter that DOR is asked for"),
    ),
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
