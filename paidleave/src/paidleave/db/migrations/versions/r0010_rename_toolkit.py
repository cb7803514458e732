"""Rename the lease table and the toolkit's name in table comments to Nightferry.

``paidleave.db.migrate`` renames the version table before it reads the revision.
"""

from __future__ import annotations

from alembic import op

from paidleave.db.migrations.queries import list_tables_with_comment

revision = "0010"
down_revision = "0009"

OLD_COMMENT = "Created by Longshore, which found no such table of the API"
NEW_COMMENT = "Created by Nightferry, which found no such table of the API"


def upgrade() -> None:
    # A job that ran before this revision, as a user who may create tables, has created the new table. Its leases have
    # ended with that job or expire; those of the old table count.
    op.execute("DROP TABLE IF EXISTS nightferry_lease")
    _rename_leases("longshore_lease", "nightferry_lease")
    _replace_comments(OLD_COMMENT, NEW_COMMENT)


def downgrade() -> None:
    """Restore the old names and comments; revision 0001 identifies the tables that it created by the comments."""
    _replace_comments(NEW_COMMENT, OLD_COMMENT)
    _rename_leases("nightferry_lease", "longshore_lease")


def _rename_leases(old: str, new: str) -> None:
    op.execute(f"ALTER TABLE {old} RENAME TO {new}")
    op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT {old}_pkey TO {new}_pkey")


def _replace_comments(old: str, new: str) -> None:
    for table in list_tables_with_comment(old):
        op.execute(f"COMMENT ON TABLE {table} IS '{new}'")
