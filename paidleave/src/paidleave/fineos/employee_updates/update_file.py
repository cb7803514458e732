"""Reading FINEOS's employee updates: CSV → batches of typed rows, and which rows are refused.

The file is read as a stream, a batch of rows at a time. What a single row has wrong refuses that row: another number of
columns than the header, bytes that are no UTF-8, an id that is no UUID, a date or a number that is none. What leaves in
doubt where rows begin and end (a quote that nobody closes, a header that is missing) refuses the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from nightferry.job import JobFailed
from paidleave.fineos.employee_updates.phones import combined

ID = "EMPLOYEEIDENTIFIER"
COLUMNS = (
    ID, "EMPLOYEETITLE", "EMPLOYEEDATEOFBIRTH", "EMPLOYEEDATEOFHIRE", "EMPLOYEEENDDATE", "EMPLOYEEGENDER",
    "EMPLOYEEMARITALSTATUS", "TELEPHONEINTCODE", "TELEPHONEAREACODE", "TELEPHONENUMBER", "CELLINTCODE",
    "CELLAREACODE", "CELLNUMBER", "EMPLOYEEEMAIL", "EMPLOYEECLASSIFICATION", "EMPLOYEEJOBTITLE", "EMPLOYMENTSTATUS",
    "MANAGERIDENTIFIER", "QUALIFIERDESCRIPTION", "EMPLOYEEWORKSITEID", "EMPLOYEEHOURSWORKEDPERWEEK",
    "EMPLOYEEDAYSWORKEDPERWEEK", "EMPLOYEEORGUNITNAME", "ORG_CUSTOMERNO", "EMPLOYEENATIONALID",
    "EMPLOYEEFIRSTNAME", "EMPLOYEELASTNAME", "CUSTOMERNO",
)  # fmt: skip
"""The columns that are read; any but the id may be absent, and there may be others (EMPLOYEEID, ORG_NAME)."""

BATCH_ROWS = 20_000
LINE_LIMIT = 1 << 20  # characters; csv limits a single value to 131,072

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
"""The columns of a batch, those of the staging table."""

_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?)?$"
_NULL_DATE = pl.date(1753, 1, 1)  # FINEOS's "no date"
_DECIMAL = r"^[0-9]{1,5}(\.[0-9]{1,10})?$"
_SSN = r"^[0-9]{9}$"
_INTEGER = r"^[0-9]{1,10}$"
_INTEGER_LIMIT = 2**31

Lookups = Mapping[str, Mapping[str, int]]
"""For each looked-up column of a batch, FINEOS's texts and our ids."""


class MalformedFile(JobFailed):
    """The file as a whole cannot be read, so that nothing of it is imported. Ask FINEOS for another one."""


@dataclass(frozen=True)
class Batch:
    """Some rows of the file.

    ``rows`` counts all of them; ``staged`` holds those that can be worked on, with the columns :data:`STAGED`;
    ``rejected`` those refused, as (line number, field, reason). ``ignored`` counts values that say nothing to us.
    """

    rows: int
    staged: pl.DataFrame
    rejected: list[tuple[int, str | None, str]]
    ignored: Mapping[str, int]


def read(stream: BinaryIO, lookups: Lookups) -> Iterator[Batch]:
    """The rows of a file in their order. Raises :class:`MalformedFile`, possibly after some batches."""
    lines = _Lines(stream)
    try:
        yield from _batches(lines, lookups)
    except csv.Error as error:
        raise MalformedFile(f"line {lines.number}: {error}") from None
    finally:
        lines.detach()


def _batches(lines: _Lines, lookups: Lookups) -> Iterator[Batch]:
    reader = csv.reader(lines, strict=True)
    header = [name.strip() for name in next(reader, [])]
    _check(header)
    line_numbers: list[int] = []
    rows: list[list[str]] = []
    rejected: list[tuple[int, str | None, str]] = []
    ended = reader.line_num
    for row in reader:
        line_number, ended = ended + 1, reader.line_num
        if reason := lines.trouble(ended) or _trouble(row, header):
            if not lines.is_ended:
                raise MalformedFile(f"line {ended}: the file ends in the middle of a row")
            rejected.append((line_number, None, reason))
        else:
            line_numbers.append(line_number)
            rows.append(row)
        if len(rows) + len(rejected) >= BATCH_ROWS:
            yield _batch(header, line_numbers, rows, rejected, lookups)
            line_numbers, rows, rejected = [], [], []
    if rows or rejected:
        yield _batch(header, line_numbers, rows, rejected, lookups)


def _check(header: list[str]) -> None:
    if ID not in header:
        raise MalformedFile(f"line 1: the header has no column {ID}")
    if twice := sorted({name for name in header if name in COLUMNS and header.count(name) > 1}):
        raise MalformedFile(f"line 1: the header has the column {', '.join(twice)} twice")


def _trouble(row: list[str], header: list[str]) -> str | None:
    if not row:
        return "blank line"
    return None if len(row) == len(header) else "another number of columns than the header"


class _Lines:
    """The lines of a stream, and which of them hold bytes that PostgreSQL's text cannot."""

    def __init__(self, stream: BinaryIO) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._bad: dict[int, str] = {}
        self.number = 0
        self.is_ended = True  # whether the last line has a line end

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(LINE_LIMIT):
            self.number += 1
            self.is_ended = line.endswith(("\n", "\r"))
            if len(line) >= LINE_LIMIT:
                raise MalformedFile(f"line {self.number} is longer than {LINE_LIMIT} characters")
            if "\0" in line:
                self._bad[self.number] = "zero byte"
            elif not line.isascii() and any("\ud800" <= character <= "\udfff" for character in line):
                self._bad[self.number] = "bytes that are no UTF-8"
            yield line

    def detach(self) -> None:
        """Leave the stream to whoever opened it."""
        self._text.detach()

    def trouble(self, last: int) -> str | None:
        """What is wrong with a line up to ``last`` that no earlier call told."""
        if not self._bad:
            return None
        told = [self._bad.pop(number) for number in sorted(self._bad) if number <= last]
        return told[0] if told else None


def _batch(
    header: list[str],
    line_numbers: list[int],
    rows: list[list[str]],
    rejected: list[tuple[int, str | None, str]],
    lookups: Lookups,
) -> Batch:
    values = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    size = len(rows)
    raw = pl.DataFrame(
        {"line_number": pl.Series(line_numbers, dtype=pl.Int64)}
        | {name: pl.Series(values.get(name, [None] * size), dtype=pl.String) for name in COLUMNS}
    ).with_columns(_present(name) for name in COLUMNS)
    problems = raw.select("line_number", pl.coalesce(_problems()).alias("problem")).drop_nulls()
    for line_number, problem in problems.iter_rows():
        name, _, reason = problem.partition(": ")
        rejected.append((line_number, name, reason))
    accepted = raw.join(problems, on="line_number", how="anti", maintain_order="left")
    typed = accepted.with_columns(
        **{column: combined(accepted.select(parts)) for column, parts in _PHONES.items()},
    ).with_columns(
        *(pl.col(name).replace_strict(lookups[column], default=None, return_dtype=pl.Int32).alias(column)
          for column, name in _LOOKED_UP.items()),
    )  # fmt: skip
    ignored = {
        parts[-1]: typed[column].null_count() - typed[parts[-1]].null_count() for column, parts in _PHONES.items()
    }
    ignored |= {name: typed[column].null_count() - typed[name].null_count() for column, name in _LOOKED_UP.items()}
    staged = typed.select(*(_staged(column) for column in STAGED))
    return Batch(size + len(rejected) - problems.height, staged, sorted(rejected), ignored)


def _present(name: str) -> pl.Expr:
    trimmed = pl.col(name).str.strip_chars()
    return pl.when(trimmed != "").then(trimmed).alias(name)


def _day(name: str) -> pl.Expr:
    """A date; null when it is none or FINEOS's null date."""
    day = pl.col(name).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    return pl.when(day > _NULL_DATE).then(day)


def _problems() -> list[pl.Expr]:
    """For each check "field: reason" where it fails."""
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


def _staged(column: str) -> pl.Expr:
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
            return _day(
                dict(zip(("date_of_birth", "date_of_hire", "date_job_ended"), _DATES, strict=True))[column]
            ).alias(column)
        case "hours_worked_per_week" | "days_worked_per_week":
            text = pl.col(_DECIMALS[column.startswith("days")])
            return pl.when(text.str.contains("[1-9]")).then(text).alias(column)  # 0 is FINEOS's "unknown"
    return pl.col(_TEXTS[column]).alias(column) if column in _TEXTS else pl.col(column)
