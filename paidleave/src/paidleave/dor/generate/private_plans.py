"""Generated files about employers with a private plan: exempt files, CSVs of returning employers and DOR's responses.

Every tenth employer of the daily files has a private plan. The same number of employers outside the daily files also
have one, and their numbers continue those of the daily files. Every other employer with a private plan returns to the
state plan. Employers and people have the same numbers and data as in the daily files. The files contain the quarters
of an employer's A lines, and the people whose main employer it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import polars as pl

from paidleave.dor.files.formats import RESPONSE_A, RESPONSE_B, RETURNING
from paidleave.dor.files.streams import ByteTarget
from paidleave.dor.generate import employers, wages
from paidleave.dor.generate.draws import Draws
from paidleave.dor.generate.files import Population
from paidleave.dor.generate.lines import format_lines
from paidleave.dor.generate.writing import Advance, WriteCounts, WriteOptions, Writer, ignore_progress

_BLOCK_EMPLOYERS = 1_000
_ONE_IN = 10
_EFFECTIVE = date(2020, 7, 1)
_HEADER = (
    "FEIN,'Organization Name','Medical Exemption','Family Exemption','Effective date with State',"
    "'First Requested Quarter'"
)

# Bad rows of the CSV, one for each reason of a rejected row.
_BAD_ROWS: dict[str, Callable[[str], str]] = {
    "blank line": lambda _: ",,,,,",
    "id with a letter": lambda row: row.replace(row[:9], "12345678X", 1),
    "short id": lambda row: row[1:],
    "missing quarter": lambda row: row.rpartition(",")[0] + ",",
    "invalid quarter": lambda row: row.rpartition(",")[0] + ",31/12/2020",
    "invalid effective date": lambda row: ",".join([*row.split(",")[:-2], "soon", row.rpartition(",")[2]]),
}


def write_exempt_file(
    stream: ByteTarget, population: Population, options: WriteOptions | None = None, advance: Advance = ignore_progress
) -> WriteCounts:
    """Write a file of all employers with a private plan."""
    return _write(stream, population, options, advance, _ONE_IN)


def write_response_file(
    stream: ByteTarget, population: Population, options: WriteOptions | None = None, advance: Advance = ignore_progress
) -> WriteCounts:
    """Write DOR's response about the employers returning to the state plan."""
    return _write(stream, population, options, advance, 2 * _ONE_IN)


def write_returning_csv(
    stream: ByteTarget, population: Population, options: WriteOptions | None = None, advance: Advance = ignore_progress
) -> WriteCounts:
    """Write the agency's CSV of the employers returning to the state plan, with duplicates and bad rows at its end."""
    options = options or WriteOptions()
    rows = [
        row
        for numbers, _ in _split_into_blocks(population)
        for row in _make_csv_rows(population, numbers.filter(_has_plan(numbers, population, 2 * _ONE_IN)))
    ]
    duplicates = rows[: int(len(rows) * options.duplicate_share)]
    kinds = list(_BAD_ROWS.items())
    bad = dict.fromkeys(_BAD_ROWS, 0)
    bad_rows = []
    for turn in range(int(len(rows) * options.bad_share)):
        kind, defect = kinds[turn % len(kinds)]
        bad_rows.append(defect(rows[turn]))
        bad[kind] += 1
    end = "\r\n" if options.crlf else "\n"
    text = end.join([_HEADER, *rows, *duplicates, *bad_rows]) + (end if options.last_line_end else "")
    stream.write(text.encode())
    advance(len(rows))
    name = RETURNING.name
    return WriteCounts({name: len(rows)}, {name: len(duplicates)}, {name: bad}, len(text.encode()))


def _write(
    stream: ByteTarget, population: Population, options: WriteOptions | None, advance: Advance, one_in: int
) -> WriteCounts:
    writer = Writer(stream, options or WriteOptions(), advance, grouped=True)
    for numbers, first_employee in _split_into_blocks(population):
        for number, has_plan, employee in zip(
            numbers, _has_plan(numbers, population, one_in), first_employee, strict=True
        ):
            if has_plan:
                _write_employer(writer, population, number, employee)
    return writer.finish()


def _write_employer(writer: Writer, population: Population, number: int, first_employee: int) -> None:
    """Write the A line of each quarter and its B lines."""
    one = pl.Series([number])
    name = employers.make_legal_names(population.seed, one, population.non_ascii_every, day=0)[0]
    people = pl.concat(
        wages.make_employee_quarters(population.seed, one, first_employee, population.non_ascii_every, day=0)
    ).filter(pl.col("account_key") == employers.make_account_keys(one)[0])
    for quarter in wages.QUARTERS:
        of_quarter = people.filter(pl.col("filing_period") == quarter)
        employer = pl.DataFrame(
            {
                "record_type": ["A"],
                "employer_id_type": ["FEIN"],
                "employer_id": employers.make_feins(one),
                "quarter": [quarter],
                "employer_name": [name],
                "employee_wages": [int(of_quarter["employee_qtr_wages"].sum())],
            }
        )
        writer.write(format_lines(employer, RESPONSE_A), RESPONSE_A)
        if not of_quarter.is_empty():
            writer.write(format_lines(_format_response_rows(of_quarter), RESPONSE_B), RESPONSE_B)


def _format_response_rows(people: pl.DataFrame) -> pl.DataFrame:
    return people.select(
        pl.lit("B").alias("record_type"),
        pl.lit("SSN").alias("id_type"),
        pl.col("employee_ssn").alias("id"),
        pl.col("employee_first_name").alias("first_name"),
        pl.col("employee_last_name").alias("last_name"),
        pl.col("employee_qtr_wages").alias("quarter_wages"),
    )


def _make_csv_rows(population: Population, numbers: pl.Series) -> list[str]:
    """Return the rows of the CSV: most employers return for both kinds of leave, a few remain exempt from one."""
    kind = Draws(population.seed, numbers).below("stays exempt", 10)  # 0: from medical, 1: from family
    names = employers.make_legal_names(population.seed, numbers, population.non_ascii_every, day=0)
    quarter = wages.QUARTERS[-1]
    return [
        ",".join(
            [
                *(fein, f'"{name}"', "Yes" if kept == 0 else "No", "Yes" if kept == 1 else "No"),
                f"{_EFFECTIVE.month}/{_EFFECTIVE.day}/{_EFFECTIVE.year}",
                f"{quarter.month}/{quarter.day}/{quarter.year}",
            ]
        )
        for fein, name, kept in zip(employers.make_feins(numbers), names, kind, strict=True)
    ]


def _has_plan(numbers: pl.Series, population: Population, one_in: int) -> pl.Series:
    """Return True for one in ``one_in`` of the employers of the daily files, and for that share of the others."""
    beyond = numbers - population.employers
    step = one_in // _ONE_IN
    return ((beyond <= 0) & (numbers % one_in == 0)) | ((beyond > 0) & (beyond % step == 0))


def _split_into_blocks(population: Population) -> Iterator[tuple[pl.Series, pl.Series]]:
    """Yield blocks of all employers: their numbers and the number of each one's first employee."""
    last = population.employers + max(population.employers // _ONE_IN, 2)
    before = 0
    for first in range(1, last + 1, _BLOCK_EMPLOYERS):
        numbers = pl.int_range(first, min(first + _BLOCK_EMPLOYERS, last + 1), eager=True)
        counts = wages.count_employees(population.seed, numbers)
        yield numbers, before + 1 + counts.cum_sum() - counts
        before += int(counts.sum())
