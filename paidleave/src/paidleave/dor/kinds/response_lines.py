"""The common rules of exempt files and pending filing responses for lines, employers and people.

A line contains an employer and a quarter (A) or an employee's wages (B). A B line does not name its employer; it
belongs to the last A line before it. If that A line is rejected, or if a possible A line is between them, the B line
is rejected too, because its wages may belong to another employer.

The types of the ids are not checked: they are nominally FEIN and SSN, but DOR also fills these fields with other text.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import RESPONSE_A, RESPONSE_B
from paidleave.dor.files.identities import IMPLAUSIBLE_SSNS, check_fein, check_ssn, count_implausible_ssns
from paidleave.dor.files.line import BLANK
from paidleave.dor.files.screening import Check, Screened, screen
from paidleave.dor.importing.steps import LATER_IMPORTS, Steps
from paidleave.dor.kinds.wage_rows import STAGED_WAGES, clean_person_name, write_wages

STAGING = ("responses/10_create_staging_of_quarters", "responses/11_create_staging_of_wages", STAGED_WAGES)
QUARTERS_TABLE = "staged_response_quarter"
WAGES_TABLE = "staged_response_wage"

_MARKS = pl.Schema({"line_number": pl.Int64(), "fein": pl.String(), "quarter": pl.Date()})


@dataclass(frozen=True)
class Employers:
    """The numbers of new, known and retained employers in a file, and of A lines that repeat an employer's quarter.

    The known employers include the retained ones, which a repeated import does not change.
    """

    new: int
    known: int
    retained: int
    repeated: int


class ResponseLines:
    """Screening of one file by batches, which tracks the A line that the next B lines belong to."""

    def __init__(self, *, reject_implausible_ssns: bool) -> None:
        self._reject_implausible_ssns = reject_implausible_ssns
        self._last = pl.DataFrame(schema=_MARKS)

    def screen(self, batch: Batch) -> Screened:
        """Separate accepted A and B lines, by staging table, from rejected lines."""
        quarters, rejected_quarters = screen(
            batch.records[RESPONSE_A.name],
            RESPONSE_A,
            check_fein("employer_id"),
        )
        self._last = self._mark_groups(batch, quarters, rejected_quarters)
        wages, rejected_wages = screen(
            batch.records[RESPONSE_B.name].join_asof(self._last, on="line_number", strategy="backward"),
            RESPONSE_B,
            [
                Check(None, "no usable employer line before it", pl.col("fein").is_null()),
                *check_ssn("id", reject_implausible=self._reject_implausible_ssns),
            ],
        )
        self._last = self._last.tail(1)
        staged_quarters = quarters.select("line_number", "employer_id", "quarter", "employer_name")
        staged = {QUARTERS_TABLE: staged_quarters, WAGES_TABLE: _select_staged_wages(wages)}
        warnings = {IMPLAUSIBLE_SSNS: count_implausible_ssns(wages, "id")}
        return Screened(staged, pl.concat([rejected_quarters, rejected_wages]), warnings)

    def _mark_groups(self, batch: Batch, quarters: pl.DataFrame, rejected_quarters: pl.DataFrame) -> pl.DataFrame:
        """Return the lines that determine the employer of the next B lines; a FEIN of NULL means no employer."""
        employers = quarters.select("line_number", fein="employer_id", quarter="quarter")
        none = pl.concat([rejected_quarters["line_number"], _find_possible_a_lines(batch)]).to_frame("line_number")
        none = none.with_columns(fein=pl.lit(None, pl.String), quarter=pl.lit(None, pl.Date))
        return pl.concat([self._last, employers, none]).sort("line_number")


def identify_employers(steps: Steps) -> Employers:
    """Create the table ``named_employer`` with the stored or new employer of each FEIN."""
    steps.run(LATER_IMPORTS)
    steps.analyze(QUARTERS_TABLE)
    steps.run("responses/20_identify_employers")
    steps.analyze("named_employer")
    steps.lock_references("employer.employer_id", "named_employer WHERE NOT is_new")
    counts = steps.select_counts("responses/21_count_lines")
    return Employers(
        new=counts["new_employers"],
        known=counts["known_employers"],
        retained=counts["retained_employers"],
        repeated=counts["repeated_quarters"],
    )


def create_employers(steps: Steps, key_prefix: str) -> None:
    """Create and queue the new employers, with exemptions from the table ``employer_exemption``."""
    steps.run("responses/40_create_employers", key_prefix=key_prefix)
    steps.run("responses/41_queue_new_employers")
    steps.run("responses/42_create_account_keys", key_prefix=key_prefix)


def add_wages(steps: Steps, staged: int) -> dict[str, int]:
    """Add missing people and wages and return the counts for the report."""
    steps.run("responses/50_stage_wages")
    return write_wages(steps, staged, authoritative=False)


def _find_possible_a_lines(batch: Batch) -> pl.Series:
    """Return the unreadable lines that may be A lines: all that are not blank and do not begin like a B line."""
    letter = (RESPONSE_B.letter or "").encode()
    rejects = batch.rejects
    is_b = pl.Series([line.startswith(letter) for line in batch.select_originals(rejects)], dtype=pl.Boolean)
    return rejects.filter(~is_b & (rejects["reason"] != BLANK))["line_number"]


def _select_staged_wages(wages: pl.DataFrame) -> pl.DataFrame:
    return wages.select(
        "line_number",
        pl.col("id").cast(pl.Int32),
        "fein",
        "quarter",
        "quarter_wages",
        clean_person_name("first_name"),
        clean_person_name("last_name"),
    )
