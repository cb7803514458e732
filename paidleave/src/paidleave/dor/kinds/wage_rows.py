"""Import of the rows in ``staged_wage`` for all kinds of files: people first, then their wages."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from paidleave.dor.importing.steps import Steps

STAGED_WAGES = "wages/12_create_staging_of_wages"


def clean_person_name(column: str) -> pl.Expr:
    """Replace ``_``, which DOR writes instead of blanks, and NULL, which the tables do not allow."""
    return pl.col(column).fill_null("").str.replace_all("_", " ", literal=True).str.strip_chars()


class _Wages(NamedTuple):
    created: int
    updated: int = 0
    new_employers: int = 0


def write_wages(steps: Steps, staged: int, *, authoritative: bool) -> dict[str, int]:
    """Write the ``staged`` rows of ``staged_wage`` and return the counts for the report.

    An ``authoritative`` file has DOR's latest data: it renames people, overwrites wages and queues new employers of
    known people for FINEOS. Other files only add missing people and wages.
    """
    duplicates = steps.run("wages/60_drop_duplicate_wages")
    counts = _write_people(steps, renames=authoritative)
    wages = _write_wages(steps, authoritative=authoritative)
    return counts | {
        "created_wages_and_contributions_count": wages.created,
        "updated_wages_and_contributions_count": wages.updated,
        "unmodified_wages_and_contributions_count": staged - duplicates - wages.created - wages.updated,
        "duplicate_wages_and_contributions_count": duplicates,
        "logged_employees_for_new_employer": wages.new_employers,
    }


def _write_people(steps: Steps, *, renames: bool) -> dict[str, int]:
    steps.analyze("staged_wage")
    steps.run("wages/61_identify_people", renames=renames)
    steps.analyze("person")
    steps.lock_references("employer.employer_id", "staged_wage")
    steps.lock_references("tax_identifier.tax_identifier_id", "person WHERE is_new AND NOT is_new_tax_identifier")
    steps.run("wages/62_create_tax_identifiers")
    steps.run("wages/63_create_employees")
    steps.run("wages/64_rename_employees")
    steps.run("wages/65_queue_employees")
    return steps.select_counts("wages/66_count_people")


def _write_wages(steps: Steps, *, authoritative: bool) -> _Wages:
    created = steps.run("wages/70_create_wages_of_new_employees")
    if not steps.run("wages/71_find_changed_wages", updates=authoritative):
        return _Wages(created)
    steps.analyze("wage_change")
    steps.lock_references("employee.employee_id", "wage_change WHERE stored_id IS NULL")
    new_employers = steps.run("wages/72_queue_new_employers_of_employees") if authoritative else 0
    created += steps.run("wages/80_create_wages_of_known_employees")
    steps.run("wages/81_save_history")
    return _Wages(created, steps.run("wages/82_update_wages"), new_employers)
