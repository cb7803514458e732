"""Reading of FINEOS's employee updates: CSV → batches of typed rows, and the rejected rows.

The file is read as a stream in batches of rows. An error within a row rejects that row: a different number of columns
than the header, invalid UTF-8, an invalid UUID, date or number. An error that makes the row boundaries ambiguous, such
as an unclosed quote or a missing header, rejects the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from nightferry import JobFailed
from paidleave.csv_lines import CsvLines, describe_csv_error
from paidleave.dor.files.identities import PLACEHOLDER_SSNS
from paidleave.fineos.employee_updates.phones import combine_phones
from paidleave.text_stream import TextStream

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
COLUMN_LIMIT = 1_000
_BATCH_CHARACTERS = 16 << 20  # limits the memory of a batch of wide rows
_BLANK = "blank line"
_UUID_LENGTH = 36

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
        blank: The number of blank lines, which are rejected rows.
        size: The number of characters of the rows, at most their number of bytes.
        shortest_row: The size of the shortest valid row in bytes with its line end: an ID and empty cells.
        staged: The valid rows with the columns :data:`STAGED`.
        rejected: The rejected rows as (line number, field, reason).
        ignored: Counts of values that are not recognized, by column.
    """

    rows: int
    blank: int
    size: int
    shortest_row: int
    staged: pl.DataFrame
    rejected: list[tuple[int, str | None, str]]
    ignored: Mapping[str, int]


@dataclass(frozen=True)
class _Rows:
    """The rows of a batch: the good ones with their line numbers, and the rejected ones."""

    header: list[str]
    start: int
    line_numbers: list[int] = field(default_factory=list)
    good: list[list[str]] = field(default_factory=list)
    rejected: list[tuple[int, str | None, str]] = field(default_factory=list)

    def is_full(self, size: int) -> bool:
        return len(self.good) + len(self.rejected) >= BATCH_ROWS or size - self.start >= _BATCH_CHARACTERS


def read_batches(stream: TextStream, lookups: Lookups) -> Iterator[RowBatch]:
    """Yield the rows of a file in order.

    Raises:
        MalformedFile: The file cannot be parsed. Earlier batches were already yielded.
    """
    lines = CsvLines(stream)
    try:
        for rows in _split_batches(lines):
            yield _build_batch(rows, lines.size - rows.start, lookups)
    except csv.Error as error:
        raise MalformedFile(f"line {lines.number}: {describe_csv_error(error)}") from None


def _split_batches(lines: CsvLines) -> Iterator[_Rows]:
    problems: list[str] = []
    reader = csv.reader(_find_line_problems(lines, problems), strict=True)
    header = [name.strip() for name in next(reader, [])]
    if not lines.number:
        raise MalformedFile("the file is empty")
    _check_header(header)
    rows = _Rows(header, lines.size)
    ended = reader.line_num
    lines.start_row()
    problems.clear()
    for row in reader:
        line_number, ended = ended + 1, reader.line_num
        if reason := next(iter(problems), None) or _find_row_problem(row, header):
            if not lines.is_ended:
                raise MalformedFile(f"line {ended}: the file ends within a row")
            rows.rejected.append((line_number, None, reason))
        else:
            rows.line_numbers.append(line_number)
            rows.good.append(row)
        lines.start_row()
        problems.clear()
        if rows.is_full(lines.size):
            yield rows
            rows = _Rows(header, lines.size)
    if rows.good or rows.rejected:
        yield rows


def _find_line_problems(lines: CsvLines, problems: list[str]) -> Iterator[str]:
    """Yield the lines. Append the problem of a line that PostgreSQL cannot store as text."""
    for line in lines:
        if "\0" in line:
            problems.append("null byte")
        elif not line.isascii() and any("\ud800" <= character <= "\udfff" for character in line):
            problems.append("invalid UTF-8")
        yield line


def _check_header(header: list[str]) -> None:
    if ID not in header:
        raise MalformedFile(f"line 1: column {ID} is missing in the header")
    if len(header) > COLUMN_LIMIT:
        raise MalformedFile(f"line 1: the header has more than {COLUMN_LIMIT} columns")
    if twice := sorted({name for name in header if name in COLUMNS and header.count(name) > 1}):
        raise MalformedFile(f"line 1: duplicate column {', '.join(twice)} in the header")


def _find_row_problem(row: list[str], header: list[str]) -> str | None:
    if not row:
        return _BLANK
    return None if len(row) == len(header) else "number of columns differs from the header"


def _build_batch(rows: _Rows, size: int, lookups: Lookups) -> RowBatch:
    values = dict(zip(rows.header, zip(*rows.good, strict=True), strict=True)) if rows.good else {}
    missing = [None] * len(rows.good)
    rejected = rows.rejected
    count = len(rows.good) + len(rejected)
    blank = sum(reason == _BLANK for _, _, reason in rejected)
    raw = pl.DataFrame(
        {"line_number": pl.Series(rows.line_numbers, dtype=pl.Int64)}
        | {name: pl.Series(values.get(name, missing), dtype=pl.String) for name in COLUMNS}
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
    return RowBatch(count, blank, size, _UUID_LENGTH + len(rows.header), staged, sorted(rejected), ignored)


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
            is_ssn = digits.str.contains(_SSN) & ~digits.is_in(PLACEHOLDER_SSNS)
            return pl.when(is_ssn).then(digits).alias(column)
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
