"""The rules of a wage file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

import polars as pl
import psycopg

from paidleave.dor.files import reader
from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import WAGE_A, WAGE_B, WAGE_FILE
from paidleave.dor.files.identities import IMPLAUSIBLE_SSNS, check_ssn, count_implausible_ssns
from paidleave.dor.files.screening import Check, Screened, check_change_time, screen
from paidleave.dor.importing.file_kind import QUARTERS, WAGES, FileKind
from paidleave.dor.importing.steps import LATER_IMPORTS, Steps
from paidleave.dor.kinds.wage_rows import STAGED_WAGES, clean_person_name, write_wages

_MOST_KNOWN_EMPLOYERS = 200_000  # about 70 bytes each

_UNKNOWN_EMPLOYER = Check("account_key", "unknown account key", pl.col("employer_id").is_null())


class WageFile:
    """The rules of one wage file."""

    staging = ("wages/10_create_staging_of_quarters", STAGED_WAGES)

    def __init__(
        self, lookups: psycopg.Connection[Any], latest_change: datetime, *, reject_implausible_ssns: bool
    ) -> None:
        self._employers = _KnownEmployers(lookups)
        self._latest_change = latest_change
        self._reject_implausible_ssns = reject_implausible_ssns

    def screen(self, batch: Batch) -> Screened:
        """Accept lines with a known account key and valid identifiers."""
        quarters, rejected_quarters = screen(
            self._employers.add_employer_ids(batch.records[WAGE_A.name]),
            WAGE_A,
            [
                _UNKNOWN_EMPLOYER,
                Check("pfm_account_id", "missing", pl.col("pfm_account_id").is_null()),
                check_change_time(self._latest_change),
            ],
        )
        wages, rejected_wages = screen(
            self._employers.add_employer_ids(batch.records[WAGE_B.name]),
            WAGE_B,
            [
                _UNKNOWN_EMPLOYER,
                *check_ssn("employee_ssn", reject_implausible=self._reject_implausible_ssns),
            ],
        )
        staged = {"staged_quarter": _select_staged_quarters(quarters), "staged_wage": _select_staged_wages(wages)}
        warnings = {IMPLAUSIBLE_SSNS: count_implausible_ssns(wages, "employee_ssn")}
        return Screened(staged, pl.concat([rejected_quarters, rejected_wages]), warnings)

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write the staged rows and return the counts for the report; ``staged`` is the number of rows by table."""
        steps.run(LATER_IMPORTS)
        counts = _apply_quarters(steps)
        counts["duplicate_employer_quarters_count"] = staged["staged_quarter"] - sum(counts.values())
        return counts | write_wages(steps, staged["staged_wage"], authoritative=True)


def _apply_quarters(steps: Steps) -> dict[str, int]:
    steps.analyze("staged_quarter")
    steps.lock_references("employer.employer_id", "staged_quarter")
    steps.run("wages/20_classify_quarters")
    counts = steps.select_counts("wages/21_count_quarters")
    steps.run("wages/22_update_quarters")
    steps.run("wages/23_create_quarters")
    return counts


def _select_staged_quarters(quarters: pl.DataFrame) -> pl.DataFrame:
    return quarters.select(
        "line_number",
        "employer_id",
        "filing_period",
        "total_pfml_contribution",
        pl.col("received_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        "updated_date",
        "pfm_account_id",
    )


def _select_staged_wages(wages: pl.DataFrame) -> pl.DataFrame:
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
        clean_person_name("employee_first_name"),
        clean_person_name("employee_last_name"),
    )


class _KnownEmployers:
    """Employers by account key, which are queried when the file first names them.

    So that the memory does not grow with the file, the employers that were queried first are forgotten above a limit.
    They are queried again if a later line names them, which is rare, because the lines of an employer are usually near
    each other.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._known = self._make_frame([])

    def add_employer_ids(self, records: pl.DataFrame) -> pl.DataFrame:
        """Return ``records`` with the ``employer_id`` of their ``account_key``, or NULL if the key is unknown."""
        keys = records.select(pl.col("account_key").unique().drop_nulls())
        # A join hashes its right side. These are the few keys of the records, not the many of the file.
        found = self._known.join(keys, on="account_key", how="semi")
        if found.height < keys.height:
            new = self._select(keys.join(found, on="account_key", how="anti")["account_key"].to_list())
            found = pl.concat([found, new])
            if self._known.height + new.height > _MOST_KNOWN_EMPLOYERS:
                self._known = self._known.tail(_MOST_KNOWN_EMPLOYERS // 2)
            self._known = pl.concat([self._known, new])
        return records.join(found, on="account_key", how="left", maintain_order="left")

    def _select(self, account_keys: list[str]) -> pl.DataFrame:
        # If two employers have the same key, use the one that DOR changed last; ties go to the lower FEIN.
        rows = self._connection.execute(
            """
            SELECT DISTINCT ON (wanted.account_key) wanted.account_key, employer.employer_id::text
            FROM unnest(%s::text[]) AS wanted (account_key)
            LEFT JOIN employer USING (account_key)
            ORDER BY wanted.account_key, dor_updated_date DESC NULLS LAST, employer_fein, employer_id
            """,
            [account_keys],
        ).fetchall()
        return self._make_frame(rows)

    @staticmethod
    def _make_frame(rows: list[tuple[str, str | None]]) -> pl.DataFrame:
        return pl.DataFrame(rows, schema={"account_key": pl.String, "employer_id": pl.String}, orient="row")


def make_wage_kind(*, in_order: bool = True, reject_implausible_ssns: bool = False) -> FileKind:
    """Return the kind of wage files; ``in_order`` refuses files that are older than an imported one."""
    return FileKind(
        WAGE_FILE,
        name="dor-wage-file",
        subjects=(QUARTERS, WAGES),
        source="DOR",
        import_type="Initial",
        report={"employer_file": False, "employee_file": True},
        read=partial(reader.read, layout=WAGE_FILE),
        rules=lambda lookups, file: WageFile(
            lookups, file.latest_change, reject_implausible_ssns=reject_implausible_ssns
        ),
        in_order=in_order,
    )
