"""The rules of an employee and wage file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl
import psycopg

from paidleave.dor.formats import WAGE_A, WAGE_B, WAGE_FILE
from paidleave.dor.screening import NINE_DIGITS, Check, Screened, screen
from paidleave.dor.steps import Steps

_UNKNOWN_EMPLOYER = Check("account_key", "unknown account key", pl.col("employer_id").is_null())


class WageFile:
    """Screens the lines of one wage file and applies those accepted to the tables."""

    layout = WAGE_FILE
    staging = ("wages/10_create_staging_of_quarters", "wages/11_create_staging_of_wages")

    def __init__(self, lookups: psycopg.Connection[Any]) -> None:
        self._employers = _KnownEmployers(lookups)

    def screen(self, records: dict[str, pl.DataFrame]) -> Screened:
        """Both kinds of line need an employer that is known by its account key."""
        quarters, rejected_quarters = screen(
            self._employers.add_to(records[WAGE_A.name]),
            WAGE_A,
            [_UNKNOWN_EMPLOYER, Check("pfm_account_id", "missing", pl.col("pfm_account_id").is_null())],
        )
        wages, rejected_wages = screen(
            self._employers.add_to(records[WAGE_B.name]),
            WAGE_B,
            [
                _UNKNOWN_EMPLOYER,
                Check(
                    "employee_ssn", "not 9 digits", ~pl.col("employee_ssn").str.contains(NINE_DIGITS).fill_null(False)
                ),
            ],
        )
        staged = {"staged_quarter": _staged_quarters(quarters), "staged_wage": _staged_wages(wages)}
        return Screened(staged, pl.concat([rejected_quarters, rejected_wages]))

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write what was staged, ``staged`` rows by table; returns the counts for the report."""
        counts = _apply_quarters(steps)
        counts["duplicate_employer_quarters_count"] = staged["staged_quarter"] - sum(counts.values())
        duplicates = steps.run("wages/30_drop_duplicate_wages")
        counts |= _apply_people(steps)
        wages = _apply_wages(steps)
        unmodified = staged["staged_wage"] - duplicates - wages.created - wages.updated
        return counts | {
            "created_wages_and_contributions_count": wages.created,
            "updated_wages_and_contributions_count": wages.updated,
            "unmodified_wages_and_contributions_count": unmodified,
            "duplicate_wages_and_contributions_count": duplicates,
            "logged_employees_for_new_employer": wages.new_employers,
        }


class _Wages(NamedTuple):
    created: int
    updated: int = 0
    new_employers: int = 0


def _apply_quarters(steps: Steps) -> dict[str, int]:
    steps.analyze("staged_quarter")
    steps.hold("wages/16_hold_quarter_employers")
    steps.run("wages/20_classify_quarters")
    counts = steps.counts("wages/21_count_quarters")
    steps.run("wages/22_update_quarters")
    steps.run("wages/23_create_quarters")
    return counts


def _apply_people(steps: Steps) -> dict[str, int]:
    steps.analyze("staged_wage")
    steps.run("wages/40_identify_people")
    steps.analyze("person")
    steps.hold("wages/42_hold_employers")
    steps.hold("wages/43_hold_tax_identifiers")
    steps.run("wages/50_create_tax_identifiers")
    steps.run("wages/51_create_employees")
    steps.run("wages/52_rename_employees")
    steps.run("wages/53_queue_employees")
    return steps.counts("wages/41_count_people")


def _apply_wages(steps: Steps) -> _Wages:
    created = steps.run("wages/60_create_wages_of_new_employees")
    if not steps.run("wages/61_find_changed_wages"):
        return _Wages(created)
    steps.analyze("wage_change")
    steps.hold("wages/62_hold_employees")
    new_employers = steps.run("wages/63_queue_new_employers_of_employees")
    created += steps.run("wages/70_create_wages_of_known_employees")
    steps.run("wages/71_keep_history")
    return _Wages(created, steps.run("wages/72_update_wages"), new_employers)


def _staged_quarters(quarters: pl.DataFrame) -> pl.DataFrame:
    return quarters.select(
        "line_number",
        "employer_id",
        "filing_period",
        "total_pfml_contribution",
        pl.col("received_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        "updated_date",
        "pfm_account_id",
    )


def _staged_wages(wages: pl.DataFrame) -> pl.DataFrame:
    return wages.select(
        "line_number",
        pl.col("employee_ssn").cast(pl.Int32),
        "employer_id",
        "filing_period",
        "independent_contractor",
        "opt_in",
        "employee_ytd_wages",
        "employee_qtr_wages",
        "employee_medical",
        "employer_medical",
        "employee_family",
        "employer_family",
        _person_name("employee_first_name"),
        _person_name("employee_last_name"),
    )


def _person_name(column: str) -> pl.Expr:
    """DOR writes ``_`` for a blank inside a name. A missing name is empty, not NULL: the tables allow no NULL."""
    return pl.col(column).fill_null("").str.replace_all("_", " ", literal=True).str.strip_chars()


class _KnownEmployers:
    """Employers by account key, looked up once for each key of the file."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._known = self._frame([])

    def add_to(self, records: pl.DataFrame) -> pl.DataFrame:
        """``records`` with ``employer_id`` by their ``account_key``, NULL where there is no such employer."""
        keys = records.select(pl.col("account_key").unique().drop_nulls())
        new = keys.join(self._known, on="account_key", how="anti")["account_key"].to_list()
        if new:
            # Two employers may hold one key: the one that DOR changed last has it, of equals the lower FEIN.
            rows = self._connection.execute(
                """
                SELECT DISTINCT ON (wanted.account_key) wanted.account_key, employer.employer_id::text
                FROM unnest(%s::text[]) AS wanted (account_key)
                LEFT JOIN employer USING (account_key)
                ORDER BY wanted.account_key, dor_updated_date DESC NULLS LAST, employer_fein, employer_id
                """,
                [new],
            ).fetchall()
            self._known = pl.concat([self._known, self._frame(rows)])
        return records.join(self._known, on="account_key", how="left", maintain_order="left")

    @staticmethod
    def _frame(rows: list[tuple[str, str | None]]) -> pl.DataFrame:
        return pl.DataFrame(rows, schema={"account_key": pl.String, "employer_id": pl.String}, orient="row")
