"""Generated employees and their quarters. The ``n``-th employee has SSN 250000000 + n with any seed.

An employee has a main employer, and the employees are numbered in the order of their main employers. Most of these are
small and a few are very large (a Pareto distribution with about 15 employees on average). A quarter of the employees
also work for one to four employers with lower numbers, so that an employee's data does not depend on the number of
employers. Each job has wages in one to eight quarters.
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
"""The last days of the quarters of A lines. Each job begins in one of them."""

_MIN_EMPLOYEES_PER_EMPLOYER = 5
_PARETO_SHAPE = 1.5
_MAX_EMPLOYEES_PER_EMPLOYER = 20_000
_EMPLOYEES_PER_FRAME = 2_500  # about 18,000 B lines
_SEVERAL_EMPLOYERS = 0.27  # of the employees without a scenario, which are 93 %
_MAX_OTHER_EMPLOYERS = 4
_MAX_QUARTERS = 8
_JOB_QUARTERS = (  # from the first quarter to the last one of the longest job
    *QUARTERS,
    *(date(2020, 6, 30), date(2020, 9, 30), date(2020, 12, 31)),
    *(date(2021, 3, 31), date(2021, 6, 30), date(2021, 9, 30), date(2021, 12, 31)),
)
_IN_UPDATE = 0.1
_DAYS_PER_ROUND = round(1 / _IN_UPDATE)  # After these days, every line has been in an update once.
_RENAMED_EACH_DAY = 0.5
_MOVED_EACH_DAY = 0.02
_CORRECTED_EACH_ROUND = 0.5
_NAME_WIDTH = 255

# Quarter wages in cents at the limits of financial eligibility. Each scenario applies to one employee in a hundred, who
# has one employer in these four quarters.
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


def count_wages(seed: int, numbers: pl.Series) -> pl.Series:
    """Return the number of B lines of the employees of each of the employers ``numbers`` (from 1 on) on day 0."""
    employees = count_employees(seed, numbers)
    main = numbers.gather(_repeat_each_by(employees))
    employee = pl.int_range(1, len(main) + 1, eager=True)
    jobs = _make_jobs(seed, employee, main, day=0)
    lines = pl.DataFrame({"main": main.gather(jobs["person"]), "quarters": jobs["quarters"]})
    return lines.group_by("main", maintain_order=True).agg(pl.col("quarters").sum())["quarters"]


def make_employer_quarters(seed: int, numbers: pl.Series, non_ascii_every: int, *, day: int) -> pl.DataFrame:
    """Return the values of the A lines of employers ``numbers`` on ``day``, of which 0 is that of the first files.

    Every day has all lines. If DOR has changed the employer, its lines have other amounts and the time of the change.
    """
    number = _repeat_each(numbers, len(QUARTERS))
    quarter = pl.int_range(len(number), eager=True) % len(QUARTERS)
    draws = Draws(seed, number * len(QUARTERS) + quarter)
    changes, last_change = employers.count_changes(Draws(seed, number), day)
    period = pl.Series(QUARTERS).gather(quarter)
    return pl.DataFrame(
        {
            "record_type": "A",
            "account_key": employers.make_account_keys(number),
            "filing_period": period,
            "employer_name": employers.make_legal_names(seed, number, non_ascii_every, day=day),
            "employer_fein": employers.make_feins(number),
            "amended_flag": draws.occurs("amended", 0.05),
            "pfm_account_id": employers.make_feins(number).str.pad_start(14, "0"),
            "total_pfml_contribution": draws.below("contribution", 10_000_000) + 2_500 + changes * 100,
            "received_date": period + pl.Series([timedelta(days=30)]),
        }
    ).with_columns(updated_date=pl.col("received_date").dt.combine(time(12)) + pl.duration(days=pl.lit(last_change)))


def make_employee_quarters(
    seed: int, numbers: pl.Series, first_employee: int, non_ascii_every: int, *, day: int
) -> Iterator[pl.DataFrame]:
    """Yield the values of the B lines of the employees of ``numbers`` on ``day``, some thousand at a time.

    ``first_employee`` is the number of the first employee whose main employer is the first of ``numbers``. Day 0 has
    all lines. Each later day has another tenth of them: half of these have changed wages and half of the employees
    another last name. Some employees have moved to the employers before their own.
    """
    employer = numbers.gather(_repeat_each_by(count_employees(seed, numbers)))
    for start in range(0, len(employer), _EMPLOYEES_PER_FRAME):
        main = employer.slice(start, _EMPLOYEES_PER_FRAME)
        employee = pl.int_range(first_employee + start, first_employee + start + len(main), eager=True)
        yield _make_lines(seed, employee, main, non_ascii_every, day)


def _make_lines(seed: int, employee: pl.Series, main: pl.Series, non_ascii_every: int, day: int) -> pl.DataFrame:
    jobs = _make_jobs(seed, employee, main, day)
    quarter = _number_each(jobs["quarters"])
    job = _repeat_each_by(jobs["quarters"])
    lines = jobs[job].with_columns(quarter=quarter, line=jobs["job"].gather(job) * _MAX_QUARTERS + quarter)
    lines = lines.with_columns(
        wage=_make_wages(seed, lines, day),
        filing_period=pl.Series(_JOB_QUARTERS).gather(lines["first_quarter"] + quarter),
    )
    wage, period = pl.col("wage"), pl.col("filing_period")
    # The wages of the year begin with the job and with each first quarter.
    before = pl.when((pl.col("quarter") == 0) | (period.dt.month() == 3)).then(wage.cum_sum() - wage)
    lines = lines.with_columns(employee_ytd_wages=wage.cum_sum() - before.forward_fill())
    if day:
        lines = lines.filter(Draws(seed, lines["line"]).occurs_on("in update", _IN_UPDATE, day))
    return lines.select(
        pl.lit("B").alias("record_type"),
        "account_key",
        "filing_period",
        *(column.gather(lines["person"]) for column in _make_people(seed, employee, non_ascii_every, day)),
        "employee_ytd_wages",
        employee_qtr_wages=wage,
        # Medical: 0.62 %, of which the employer pays 60 %. Family: 0.13 %, paid by the employee. Rounded to cents.
        employee_medical=(wage * 248 + 50_000) // 100_000,
        employer_medical=(wage * 372 + 50_000) // 100_000,
        employee_family=(wage * 130 + 50_000) // 100_000,
        employer_family=pl.lit(0, pl.Int64),
    ).select(field.name for field in WAGE_B.fields)


def _make_jobs(seed: int, employee: pl.Series, main: pl.Series, day: int) -> pl.DataFrame:
    """Return the jobs of each employee, the one with the ``main`` employer first.

    The employers of an employee are different on every day: they are at different places of the ring of the employers
    1 to ``main``, and an employee who moves goes to the place before in all jobs.
    """
    draws = Draws(seed, employee)
    has_scenario = employee % 100 < len(_SCENARIOS)
    others = draws.below("other employers", _MAX_OTHER_EMPLOYERS) + 1
    others = others * (draws.occurs("several employers", _SEVERAL_EMPLOYERS) & ~has_scenario)
    others = pl.select(pl.min_horizontal(others, main - 1)).to_series()
    moves = draws.count_occurrences("moved", _MOVED_EACH_DAY, day)
    people = pl.DataFrame({"employee": employee, "ring": main, "has_scenario": has_scenario}).with_columns(
        person=pl.int_range(pl.len()),
        start=draws.below("first other employer", 1 << 32),
        moves=moves % main,
    )
    person, number = _repeat_each_by(others + 1), _number_each(others + 1)
    job = employee.gather(person) * (_MAX_OTHER_EMPLOYERS + 1) + number
    draws = Draws(seed, job)
    jobs = people[person].with_columns(number=number, job=job)
    ring, scenario = pl.col("ring"), pl.col("has_scenario")
    others_in_ring = pl.max_horizontal(ring - 1, 1)
    place = pl.when(pl.col("number") > 0).then(1 + (pl.col("start") + pl.col("number")) % others_in_ring).otherwise(0)
    employer = jobs.select((ring - 1 + place + ring - pl.col("moves")) % ring + 1).to_series()
    return jobs.select(
        "person",
        "employee",
        "job",
        account_key=employers.make_account_keys(employer),
        first_quarter=pl.when(scenario).then(0).otherwise(draws.below("first quarter", len(QUARTERS))),
        quarters=pl.when(scenario).then(len(QUARTERS)).otherwise(draws.below("quarters", _MAX_QUARTERS) + 1),
    )


def _make_people(seed: int, employee: pl.Series, non_ascii_every: int, day: int) -> list[pl.Series]:
    """Return the columns of the values that are the same in all lines of an employee."""
    draws = Draws(seed, employee)
    last_names = pl.Series(pad_texts(names.LAST_NAMES, _NAME_WIDTH))
    renamed = draws.count_occurrences("renamed", _RENAMED_EACH_DAY, day)
    last_name = last_names.gather((draws.below("last name", len(last_names)) + renamed) % len(last_names))
    if non_ascii_every:
        accented = draws.choice("accented name", pad_texts(names.NON_ASCII_LAST_NAMES, _NAME_WIDTH))
        last_name = last_name.zip_with(employee % non_ascii_every != 0, accented)
    return [
        draws.choice("first name", pad_texts(names.FIRST_NAMES, _NAME_WIDTH)).alias("employee_first_name"),
        last_name.alias("employee_last_name"),
        (employee + FIRST_SSN).cast(pl.String).alias("employee_ssn"),
        draws.occurs("contractor", 0.05).alias("independent_contractor"),
        draws.occurs("opt in", 0.02).alias("opt_in"),
    ]


def _make_wages(seed: int, lines: pl.DataFrame, day: int) -> pl.Series:
    """Return the wages of each line in cents, as of ``day``."""
    draws = Draws(seed, lines["line"])
    usual = Draws(seed, lines["job"]).below("wage", 2_000_000) + 300_000
    extra = draws.below("extra", 100_000)
    special = pl.Series([cents for scenario in range(len(_SCENARIOS)) for cents in _SCENARIOS[scenario]])
    scenario = lines["employee"] % 100
    special = special.gather((scenario * len(QUARTERS) + lines["quarter"]).clip(0, len(special) - 1))
    wages = (usual + extra).zip_with(scenario >= len(_SCENARIOS), special)
    if day:
        # Wages are corrected per round, not per day, because half of the lines in an update must be unmodified.
        this_round = (day - 1) // _DAYS_PER_ROUND + 1
        wages += draws.count_occurrences("corrected", _CORRECTED_EACH_ROUND, this_round) * 100
    return wages


def _repeat_each_by(counts: pl.Series) -> pl.Series:
    """Return the index of each count, repeated by the count."""
    return pl.select(pl.int_range(len(counts)).repeat_by(counts).explode()).to_series()


def _number_each(counts: pl.Series) -> pl.Series:
    """Return the numbers from 0 to below each count, one count after another."""
    return pl.select(pl.int_ranges(counts).explode()).to_series()


def _repeat_each(values: pl.Series, times: int) -> pl.Series:
    return values.gather(pl.int_range(len(values) * times, eager=True) // times)
