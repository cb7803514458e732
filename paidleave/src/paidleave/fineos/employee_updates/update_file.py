"""Reading of FINEOS's employee updates: CSV → batches of typed rows, and the rejected rows.

The file is read as a stream in batches of rows. An error within a row rejects that row: a different number of columns
than the header, invalid UTF-8, an invalid UUID, date or number. An error that makes the row boundaries ambiguous, such
as an unclosed quote or a missing header, rejects the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from nightferry.job import JobFailed
from paidleave.fineos.employee_updates.phones import combine_phones

ID = "EMPLOYEEIDENTIFIER"
COLUMNS = (
    ID, "EMPLOYEETITLE", "EMPLOYEEDATEOFBIRTH", "EMPLOYEEDATEOFHIRE", "EMPLOYEEENDDATE", "EMPLOYEEGENDER",
    "EMPLOYEEMARITALSTATUS", "TELEPHONEINTCODE", "TELEPHONEAREACODE", "TELEPHONENUMBER", "CELLINTCODE",
    "CELLAREACODE", "CELLNUMBER", "EMPLOYEEEMAIL", "EMPLOYEECLASSIFICATION", "EMPLOYEEJOBTITLE", "EMPLOYMENTSTATUS",
    "MANAGERIDENTIFIER", "QUALIFIERDESCRIPTION", "EMPLOYEEWORKSITEID", "EMPLOYEEHOURSWORKEDPERWEEK",
    "EMPLOYEEDAYSWORKEDPERWEEK", "EMPLOYEEORGUNITNAME", "ORG_CUSTOMERNO", "EMPLOYEENATIONALID",
    "EMPLOYEEFIRSTNAME", "EMPLOYEELASTNAME", "CUSTOMERNO",
)  # fmt: skip
"""The imported columns. Only the ID is required. The file can have other columns (EMPLOYEEID, ORG_NAME)."""

BATCH_ROWS = 20_000
LINE_LIMIT = 1 << 20  # characters (csv limits a single value to 131,072)

_DATES = ("EMPLOYEEDATEOFBIRTH", "EMPLOYEEDATEOFHIRE", "EMPLOYEEENDDATE")
_DECIMALS = ("EMPLOYEEHOURSWORKEDPERWEEK", "EMPLOYEEDAYSWORKEDPERWEEK")
_PHONES = {
    "phone_number": ("TELEPHONEINTCODE", "TELEPHONEAREACODE", "TELEPHONENUMBER"),
    "cell_phone_number": ("CELLINTCODE", "CELLAREACODE", "CELLNUMBER"),
}
_LOOKED_UP = {
    "title_id": "EMPLOYEETITLE",
    "gender_id": "EMPLOYEEGENDER",
    "marital_status_id": "EMPLOYEEMARITALSTATUS",
    "occupation_id": "EMPLOYEECLASSIFICATION",
}
_TEXTS = {
    "first_name": "EMPLOYEEFIRSTNAME",
    "last_name": "EMPLOYEELASTNAME",
    "email_address": "EMPLOYEEEMAIL",
    "fineos_customer_number": "CUSTOMERNO",
    "job_title": "EMPLOYEEJOBTITLE",
    "employment_status": "EMPLOYMENTSTATUS",
    "manager_id": "MANAGERIDENTIFIER",
    "worksite_id": "EMPLOYEEWORKSITEID",
    "occupation_qualifier": "QUALIFIERDESCRIPTION",
    "organization_unit_name": "EMPLOYEEORGUNITNAME",
}
STAGED = (
    "line_number", "employee_id", "tax_identifier", "first_name", "last_name", *_LOOKED_UP, "date_of_birth", *_PHONES,
    "email_address", "fineos_customer_number", "fineos_employer_id", "job_title", "employment_status", "manager_id",
    "worksite_id", "occupation_qualifier", "date_of_hire", "date_job_ended", "hours_worked_per_week",
    "days_worked_per_week", "organization_unit_name",
)  # fmt: skip
"""The columns of a batch, which are the columns of the staging table."""

_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?)?$"
_NULL_DATE = pl.date(1753, 1, 1)  # FINEOS's value for "no date", and the feed's for an unknown date of birth
# The feed sends these values for unknown ones. FINEOS returns them, but they are not facts about an employee.
_FEED_DEFAULTS = {"EMPLOYEEJOBTITLE": "DEFAULT", "EMPLOYEEDATEOFHIRE": "2020-01-01"}
_DECIMAL = r"^[0-9]{1,5}(\.[0-9]{1,10})?$"
_SSN = r"^[0-9]{9}$"
_INTEGER = r"^[0-9]{1,10}$"
_INTEGER_LIMIT = 2**31

Lookups = Mapping[str, Mapping[str, int]]
"""FINEOS's texts and our IDs for each looked-up column of a batch."""


class MalformedFile(JobFailed):
    """The file cannot be parsed and was not imported. Request a corrected file from FINEOS."""


@dataclass(frozen=True)
class RowBatch:
    """A batch of rows of the file.

    Attributes:
        rows: The number of all rows.
        staged: The valid rows with the columns :data:`STAGED`.
        rejected: The rejected rows as (line number, field, reason).
        ignored: Counts of values that are not recognized, by column.
    """

    rows: int
    staged: pl.DataFrame
    rejected: list[tuple[int, str | None, str]]
    ignored: Mapping[str, int]


def read_batches(stream: BinaryIO, lookups: Lookups) -> Iterator[RowBatch]:
    """Yield the rows of a file in order.

    Raises:
        MalformedFile: The file cannot be parsed. Earlier batches were already yielded.
    """
    lines = _Lines(stream)
    try:
        yield from _split_batches(lines, lookups)
    except csv.Error as error:
        raise MalformedFile(f"line {lines.number}: {error}") from None
    finally:
        lines.detach()


def _split_batches(lines: _Lines, lookups: Lookups) -> Iterator[RowBatch]:
    reader = csv.reader(lines, strict=True)
    header = [name.strip() for name in next(reader, [])]
    _check_header(header)
    line_numbers: list[int] = []
    rows: list[list[str]] = []
    rejected: list[tuple[int, str | None, str]] = []
    ended = reader.line_num
    for row in reader:
        line_number, ended = ended + 1, reader.line_num
        if reason := lines.pop_problem(ended) or _find_row_problem(row, header):
            if not lines.is_ended:
                raise MalformedFile(f"line {ended}: the file ends within a row")
            rejected.append((line_number, None, reason))
        else:
            line_numbers.append(line_number)
            rows.append(row)
        if len(rows) + len(rejected) >= BATCH_ROWS:
            yield _build_batch(header, line_numbers, rows, rejected, lookups)
            line_numbers, rows, rejected = [], [], []
    if rows or rejected:
        yield _build_batch(header, line_numbers, rows, rejected, lookups)


def _check_header(header: list[str]) -> None:
    if ID not in header:
        raise MalformedFile(f"line 1: column {ID} is missing in the header")
    if twice := sorted({name for name in header if name in COLUMNS and header.count(name) > 1}):
        raise MalformedFile(f"line 1: duplicate column {', '.join(twice)} in the header")


def _find_row_problem(row: list[str], header: list[str]) -> str | None:
    if not row:
        return "blank line"
    return None if len(row) == len(header) else "number of columns differs from the header"


class _Lines:
    """The lines of a stream, with the problems of lines that PostgreSQL cannot store as text."""

    def __init__(self, stream: BinaryIO) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._problems: dict[int, str] = {}
        self.number = 0
        self.is_ended = True  # True if the last line has a line end

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(LINE_LIMIT):
            self.number += 1
            self.is_ended = line.endswith(("\n", "\r"))
            if len(line) >= LINE_LIMIT:
                raise MalformedFile(f"line {self.number} is longer than {LINE_LIMIT} characters")
            if "\0" in line:
                self._problems[self.number] = "null byte"
            elif not line.isascii() and any("\ud800" <= character <= "\udfff" for character in line):
                self._problems[self.number] = "invalid UTF-8"
            yield line

    def detach(self) -> None:
        """Detach the stream, so that its owner closes it."""
        self._text.detach()

    def pop_problem(self, last: int) -> str | None:
        """Remove the problems of lines up to ``last`` and return the first one, or None."""
        if not self._problems:
            return None
        problems = [self._problems.pop(number) for number in sorted(self._problems) if number <= last]
        return problems[0] if problems else None


def _build_batch(
    header: list[str],
    line_numbers: list[int],
    rows: list[list[str]],
    rejected: list[tuple[int, str | None, str]],
    lookups: Lookups,
) -> RowBatch:
    values = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    size = len(rows)
    raw = pl.DataFrame(
        {"line_number": pl.Series(line_numbers, dtype=pl.Int64)}
        | {name: pl.Series(values.get(name, [None] * size), dtype=pl.String) for name in COLUMNS}
    ).with_columns(_strip(name) for name in COLUMNS)
    problems = raw.select("line_number", pl.coalesce(_build_checks()).alias("problem")).drop_nulls()
    for line_number, problem in problems.iter_rows():
        name, _, reason = problem.partition(": ")
        rejected.append((line_number, name, reason))
    accepted = raw.join(problems, on="line_number", how="anti", maintain_order="left")
    typed = accepted.with_columns(
        **{column: combine_phones(accepted.select(parts)) for column, parts in _PHONES.items()},
    ).with_columns(
        *(pl.col(name).replace_strict(lookups[column], default=None, return_dtype=pl.Int32).alias(column)
          for column, name in _LOOKED_UP.items()),
    )  # fmt: skip
    ignored = {
        parts[-1]: typed[column].null_count() - typed[parts[-1]].null_count() for column, parts in _PHONES.items()
    }
    ignored |= {name: typed[column].null_count() - typed[name].null_count() for column, name in _LOOKED_UP.items()}
    staged = typed.select(*(_build_staged_column(column) for column in STAGED))
    return RowBatch(size + len(rejected) - problems.height, staged, sorted(rejected), ignored)


def _strip(name: str) -> pl.Expr:
    trimmed = pl.col(name).str.strip_chars()
    return pl.when(trimmed != "").then(trimmed).alias(name)


def _parse_date(name: str) -> pl.Expr:
    """Parse a date. The result is null for an invalid date, FINEOS's null date and the feed's default."""
    text = pl.col(name).str.slice(0, 10)
    day = text.str.to_date("%Y-%m-%d", strict=False)
    return pl.when((day > _NULL_DATE) & (text != _FEED_DEFAULTS.get(name, ""))).then(day)


def _build_checks() -> list[pl.Expr]:
    """Build one expression per check. It returns "field: reason" where the check fails."""
    checks = [(ID, pl.col(ID).str.contains(_UUID).fill_null(False), "not a UUID")]
    for name in _DATES:
        text = pl.col(name)
        day = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        checks.append(
            (name, text.is_null() | (text.str.contains(_DATE) & (day >= _NULL_DATE).fill_null(False)), "not a date")
        )
    for name in _DECIMALS:
        checks.append((name, pl.col(name).is_null() | pl.col(name).str.contains(_DECIMAL), "not a number"))
    return [pl.when(~passes).then(pl.lit(f"{name}: {reason}")) for name, passes, reason in checks]


def _build_staged_column(column: str) -> pl.Expr:
    match column:
        case "employee_id":
            return pl.col(ID).str.to_lowercase().alias(column)
        case "tax_identifier":
            digits = pl.col("EMPLOYEENATIONALID").str.replace_all("-", "", literal=True)
            return pl.when(digits.str.contains(_SSN)).then(digits).alias(column)
        case "fineos_employer_id":
            number = pl.col("ORG_CUSTOMERNO")
            value = pl.when(number.str.contains(_INTEGER)).then(number).cast(pl.Int64, strict=False)
            return pl.when(value < _INTEGER_LIMIT).then(value).alias(column)
        case "date_of_birth" | "date_of_hire" | "date_job_ended":
            return _parse_date(
                dict(zip(("date_of_birth", "date_of_hire", "date_job_ended"), _DATES, strict=True))[column]
            ).alias(column)
        case "hours_worked_per_week" | "days_worked_per_week":
            text = pl.col(_DECIMALS[column.startswith("days")])
            return pl.when(text.str.contains("[1-9]")).then(text).alias(column)  # FINEOS sends 0 for an unknown value.
        case "job_title":
            text = pl.col("EMPLOYEEJOBTITLE")
            return pl.when(text != _FEED_DEFAULTS["EMPLOYEEJOBTITLE"]).then(text).alias(column)
    return pl.col(_TEXTS[column]).alias(column) if column in _TEXTS else pl.col(column)
