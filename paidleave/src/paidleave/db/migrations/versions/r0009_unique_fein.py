"""One employer per FEIN, as far as the data allows.

Two employers with one FEIN cannot be merged by a machine: each may have wages, occupations, a vendor's number and
claims in tables that we don't know. So the rows stay. The one that the imports go by (the one that DOR changed last)
and every employer without a twin are in the index, the surplus rows are excluded by their ids: no further duplicate can
come up. Their number is logged, and a list of their ids when it is short. After they have been merged by hand,
``db-migrate-down`` to before this revision and ``db-migrate-up`` build the full index.

With more than a thousand surplus rows there is no unique index at all: an index with so long a condition would slow
every change down. The imports keep FEINs unique by themselves; the index is a second line of defence.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from paidleave.db.migrations.queries import is_unique, log

revision = "0009"
down_revision = "0008"

INDEX = "uq_employer_employer_fein"
SURPLUS_LIMIT = 1000
LISTED = 20


def upgrade() -> None:
    if is_unique("employer", "employer_fein"):
        log.info("FEIN: unique already")
        return
    op.execute("LOCK TABLE employer IN SHARE ROW EXCLUSIVE MODE")
    surplus = _surplus()
    if len(surplus) > SURPLUS_LIMIT:
        log.warning("FEIN: %d employers share one with another; too many for a unique index", len(surplus))
        return
    condition = ""
    if surplus:
        condition = " WHERE employer_id NOT IN (" + ", ".join(f"'{employer_id}'" for employer_id in surplus) + ")"
        more = f" and {len(surplus) - LISTED} more" if len(surplus) > LISTED else ""
        log.warning(
            "FEIN: %d employers share one with an employer that DOR changed later; merge them by hand: %s%s",
            len(surplus), ", ".join(surplus[:LISTED]), more,
        )  # fmt: skip
    op.execute(f"CREATE UNIQUE INDEX {INDEX} ON employer (employer_fein){condition}")


def downgrade() -> None:
    op.execute(f"DROP INDEX IF EXISTS {INDEX}")


def _surplus() -> list[str]:
    """Ids of the employers that share a FEIN, without the one of each group that the imports go by."""
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
