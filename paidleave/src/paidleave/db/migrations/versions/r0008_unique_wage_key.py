"""Make wage rows unique by employee, employer and quarter.

Of duplicate rows, the one that was changed last is retained; ties go to the later import and then to the greater id.
The others become history rows of the retained one, and their history rows are reassigned to it, so that no amount is
lost. A downgrade drops the index and does not restore the merged rows.
"""

from __future__ import annotations

from alembic import op

from paidleave.db.migrations.queries import count_changed_rows, is_unique, log

revision = "0008"
down_revision = "0007"

INDEX = "uq_wages_and_contributions_employee_employer_period"
VALUES = """
    is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages, employee_med_contribution,
    employer_med_contribution, employee_fam_contribution, employer_fam_contribution
"""


def upgrade() -> None:
    if is_unique("wages_and_contributions", "employee_id", "employer_id", "filing_period"):
        log.info("wage key: already unique")
        return
    op.execute("LOCK TABLE wages_and_contributions, wages_and_contributions_history IN SHARE ROW EXCLUSIVE MODE")
    _merge_duplicates()
    op.execute(f"CREATE UNIQUE INDEX {INDEX} ON wages_and_contributions (employee_id, employer_id, filing_period)")


def downgrade() -> None:
    op.execute(f"DROP INDEX IF EXISTS {INDEX}")


def _merge_duplicates() -> None:
    op.execute("""
        CREATE TEMPORARY TABLE surplus_wage ON COMMIT DROP AS
        SELECT surplus_id, kept_id
        FROM (
            SELECT
                wage_and_contribution_id AS surplus_id,
                first_value(wage_and_contribution_id) OVER newest_first AS kept_id,
                row_number() OVER newest_first AS place
            FROM wages_and_contributions
            WINDOW newest_first AS (
                PARTITION BY employee_id, employer_id, filing_period
                ORDER BY updated_at DESC, latest_import_log_id DESC NULLS LAST, wage_and_contribution_id DESC
            )
        ) AS ranked
        WHERE place > 1
    """)
    op.execute("ANALYZE surplus_wage")
    relinked = count_changed_rows("""
        UPDATE wages_and_contributions_history AS history
        SET wage_and_contribution_id = kept_id, updated_at = now()
        FROM surplus_wage
        WHERE history.wage_and_contribution_id = surplus_id
    """)
    moved = count_changed_rows(f"""
        INSERT INTO wages_and_contributions_history (
            wages_and_contributions_history_id, wage_and_contribution_id, {VALUES}, import_log_id
        )
        SELECT gen_random_uuid(), kept_id, {VALUES}, latest_import_log_id
        FROM surplus_wage
        JOIN wages_and_contributions ON wage_and_contribution_id = surplus_id
    """)
    op.execute("""
        DELETE FROM wages_and_contributions USING surplus_wage WHERE wage_and_contribution_id = surplus_id
    """)
    log.info("wage key: %d duplicate wages moved to history, %d history rows reassigned", moved, relinked)
