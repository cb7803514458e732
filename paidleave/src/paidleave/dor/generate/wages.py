"""Generated employees and their quarters. The ``n``-th employee has SSN 250000000 + n with any seed.

An employee works for one employer. The employees are numbered in the order of their employers. Most employers are
small and a few are very large (a Pareto distribution with about 15 employees on average).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta

import polars as pl

from paidleave.dor.files.formats import WAGE_B
from paidleave.dor.generate import employers, names
from paidleave.dor.generate.draws import Draws
from paidleave.dor.generate.lines import pad_texts

FIRST_SSN = 250_000_000
MAX_EMPLOYEES = 999_999_999 - FIRST_SSN
"""The maximum number of employees, because an SSN has nine digits."""

QUARTERS = (date(2019, 6, 30), date(2019, 9, 30), date(2019, 12, 31), date(2020, 3, 31))
"""The last days of the quarters in a file."""

_MIN_EMPLOYEES_PER_EMPLOYER = 5
_PARETO_SHAPE = 1.5
_MAX_EMPLOYEES_PER_EMPLOYER = 20_000
_ROWS_PER_FRAME = 20_000
_IN_UPDATE = 0.1
_DAYS_PER_ROUND = round(1 / _IN_UPDATE)  # After these days, every line has been in an update once.
_RENAMED_EACH_DAY = 0.05
_MOVED_EACH_DAY = 0.02
_CORRECTED_EACH_ROUND = 0.5
_NAME_WIDTH = 255

# Quarter wages in cents at the limits of financial eligibility. Each scenario applies to one employee in a hundred.
_SCENARIOS: dict[int, tuple[int, int, int, int]] = {
    0: (0, 0, 0, 0),  # no wages
    1: (0, 0, 0, 540_000),  # all wages in the last quarter
    2: (540_000, 0, 0, 0),  # all wages in the first quarter
    3: (135_000, 135_000, 135_000, 135_000),  # 5,400.00 in the year
    4: (135_000, 135_000, 135_000, 134_999),  # one cent less
    5: (1, 1, 1, 1),
    6: (99_999_999_99, 0, 0, 1),  # the widest amounts
}


def count_employees(seed: int, numbers: pl.Series) -> pl.Series:
    """Return the number of employees of each of the employers ``numbers``."""
    count = _MIN_EMPLOYEES_PER_EMPLOYER * Draws(seed, numbers).uniform("employees") ** (-1 / _PARETO_SHAPE)
    return count.clip(upper_bound=_MAX_EMPLOYEES_PER_EMPLOYER).cast(pl.Int64)


def make_employer_quarters(seed: int, numbers: pl.Series, non_ascii_every: int, *, day: int) -> pl.DataFrame:
    """Return the values of the A lines of employers ``numbers`` on ``day``.

    Day 0 has all lines. Each later day has another tenth of them, with changes.
    """
    number = _repeat_each(numbers, len(QUARTERS))
    quarter = pl.int_range(len(number), eager=True) % len(QUARTERS)
    draws = Draws(seed, number * len(QUARTERS) + quarter)
    period = pl.Series(QUARTERS).gather(quarter)
    received = period + pl.Series([timedelta(days=30)])
    contribution = count_employees(seed, number) * (draws.below("contribution", 10_000) + 2_500)
    frame = pl.DataFrame(
        {
            "account_key": employers.make_account_keys(number),
            "filing_period": period,
            "employer_name": employers.make_legal_names(seed, number, non_ascii_every, day=day),
            "employer_fein": employers.make_feins(number),
            "amended_flag": draws.occurs("amended", 0.05),
            "pfm_account_id": employers.make_feins(number).str.pad_start(14, "0"),
            "total_pfml_contribution": contribution + day,
            "received_date": received,
        }
    ).with_columns(
        pl.lit("A").alias("record_type"),
        updated_date=pl.col("received_date").dt.combine(time(12)) + timedelta(days=day),
    )
    return frame.filter(draws.occurs_on("in update", _IN_UPDATE, day)) if day else frame


def make_employee_quarters(
    seed: int, numbers: pl.Series, first_employee: int, non_ascii_every: int, *, day: int
) -> Iterator[pl.DataFrame]:
    """Yield the values of the B lines of employers ``numbers`` on ``day``, some thousand at a time.

    ``first_employee`` is the number of the first employer's first employee. Day 0 has all lines. Each later day has
    another tenth of them: half of these have changed wages, some employees have another name, and some have moved to
    the previous employer.
    """
    employer = numbers.to_frame("n").select(pl.col("n").repeat_by(count_employees(seed, numbers)).explode()).to_series()
    step = _ROWS_PER_FRAME // len(QUARTERS)
    for start in range(0, len(employer), step):
        some = employer.slice(start, step)
        employee = pl.int_range(first_employee + start, first_employee + start + len(some), eager=True)
        yield _make_lines(seed, employee, some, non_ascii_every, day)


def _make_lines(seed: int, employee: pl.Series, employer: pl.Series, non_ascii_every: int, day: int) -> pl.DataFrame:
    draws = Draws(seed, employee)
    wages = [_make_wages(draws, employee, quarter, day) for quarter in range(len(QUARTERS))]
    year_to_date = [wages[0]]
    for before, (quarter, earned) in zip(QUARTERS, zip(QUARTERS[1:], wages[1:], strict=True), strict=False):
        year_to_date.append(earned if quarter.year > before.year else year_to_date[-1] + earned)
    last_name = draws.choice("last name", pad_texts(names.LAST_NAMES, _NAME_WIDTH))
    if day:
        employer = (employer - draws.count_occurrences("moved", _MOVED_EACH_DAY, day)).clip(lower_bound=1)
        married = pl.Series(pad_texts(["Newly-Married"], _NAME_WIDTH))
        # The second change restores the first name.
        renamed = draws.count_occurrences("renamed", _RENAMED_EACH_DAY, day) % 2 == 1
        last_name = last_name.zip_with(~renamed, married.new_from_index(0, len(employee)))
    if non_ascii_every:
        accented = draws.choice("accented name", pad_texts(names.NON_ASCII_LAST_NAMES, _NAME_WIDTH))
        last_name = last_name.zip_with(employee % non_ascii_every != 0, accented)
    people = {
        "account_key": employers.make_account_keys(employer),
        "employee_first_name": draws.choice("first name", pad_texts(names.FIRST_NAMES, _NAME_WIDTH)),
        "employee_last_name": last_name,
        "employee_ssn": (employee + FIRST_SSN).cast(pl.String),
        "independent_contractor": draws.occurs("contractor", 0.05),
        "opt_in": draws.occurs("opt in", 0.02),
    }
    quarters = [
        pl.DataFrame(
            people
            | {
                "employee": employee,
                "employee_ytd_wages": year_to_date[index],
                "employee_qtr_wages": wages[index],
                "included": Draws(seed, employee * len(QUARTERS) + index).occurs_on("in update", _IN_UPDATE, day),
            }
        ).with_columns(filing_period=pl.lit(period))
        for index, period in enumerate(QUARTERS)
    ]
    lines = pl.concat(quarters).sort("employee", "filing_period")
    if day:
        lines = lines.filter("included")
    wage = pl.col("employee_qtr_wages")
    return lines.with_columns(
        pl.lit("B").alias("record_type"),
        # Medical: 0.62 %, of which the employer pays 60 %. Family: 0.13 %, paid by the employee. Rounded to cents.
        employee_medical=(wage * 248 + 50_000) // 100_000,
        employer_medical=(wage * 372 + 50_000) // 100_000,
        employee_family=(wage * 130 + 50_000) // 100_000,
        employer_family=pl.lit(0, pl.Int64),
    ).select(field.name for field in WAGE_B.fields)


def _make_wages(draws: Draws, employee: pl.Series, quarter: int, day: int) -> pl.Series:
    """Return the wages of each employee in the quarter, in cents, as of ``day``."""
    usual = draws.below("wage", 2_000_000) + 300_000
    extra = draws.below(f"extra {quarter}", 100_000)
    by_scenario = [_SCENARIOS.get(scenario, (-1,) * len(QUARTERS))[quarter] for scenario in range(100)]
    special = pl.Series(by_scenario).gather(employee % 100)
    wages = (usual + extra).zip_with(special < 0, special)
    if day:
        # Wages are corrected per round, not per day, because half of the lines in an update must be unmodified.
        this_round = (day - 1) // _DAYS_PER_ROUND + 1
        wages = wages + draws.count_occurrences(f"corrected {quarter}", _CORRECTED_EACH_ROUND, this_round) * 100
    return wages


def _repeat_each(values: pl.Series, times: int) -> pl.Series:
    return values.gather(pl.int_range(len(values) * times, eager=True) // times)
