"""Make employers unique by FEIN, as far as the data allows.

Two employers with the same FEIN cannot be merged automatically, because each may have wages, occupations, a vendor
number and claims in tables of the API. All rows are therefore retained. Of the employers that share a FEIN, the index
covers the one that the imports use, which DOR changed last, and excludes the others by id. This prevents further
duplicates. The migration logs the number of excluded employers and up to 20 of their ids. To build the full index,
merge them manually, run ``db-migrate-down`` until this revision is reverted, and run ``db-migrate-up``.

If more than 1,000 employers would be excluded, no index is created, because its long condition would slow down every
change. The imports keep FEINs unique without the index, which is an additional safeguard.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from paidleave.db.migrations.queries import is_unique, log

revision = "0009"
down_revision = "0008"

INDEX = "uq_employer_employer_fein"
SURPLUS_LIMIT = 1000
MAX_LISTED = 20


def upgrade() -> None:
    if is_unique("employer", "employer_fein"):
        log.info("employers already have unique FEINs")
        return
    op.execute("LOCK TABLE employer IN SHARE ROW EXCLUSIVE MODE")
    surplus = _find_surplus()
    if len(surplus) > SURPLUS_LIMIT:
        log.warning("no unique index of FEINs created: %d employers are duplicates, too many to exclude", len(surplus))
        return
    condition = ""
    if surplus:
        condition = " WHERE employer_id NOT IN (" + ", ".join(f"'{employer_id}'" for employer_id in surplus) + ")"
        more = f" and {len(surplus) - MAX_LISTED} more" if len(surplus) > MAX_LISTED else ""
        log.warning(
            "%d employers have the FEIN of an employer that DOR changed later; merge them manually: %s%s",
            len(surplus), ", ".join(surplus[:MAX_LISTED]), more,
        )  # fmt: skip
    op.execute(f"CREATE UNIQUE INDEX {INDEX} ON employer (employer_fein){condition}")


def downgrade() -> None:
    op.execute(f"DROP INDEX IF EXISTS {INDEX}")


def _find_surplus() -> list[str]:
    """Return the ids of employers that share a FEIN, except the one of each group that the imports use."""
    rows = op.get_bind().execute(
        text("""
            SELECT employer_id::text
            FROM (
                SELECT
                    employer_id,
                    row_number() OVER (
                        PARTITION BY employer_fein
                        ORDER BY dor_updated_date DESC NULLS LAST, fineos_employer_id, employer_id
                    ) AS place
                FROM employer
            ) AS ranked
            WHERE place > 1
            ORDER BY employer_id
        """)
    )
    return list(rows.scalars())
