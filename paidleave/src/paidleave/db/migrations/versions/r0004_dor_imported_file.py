"""Record imported DOR files by the SHA-256 of their plain text, so that a file is imported once under any name.

A downgrade deletes these records. A file that is imported again afterwards leaves its records unmodified.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE dor_imported_file (
            digest text PRIMARY KEY,
            name text NOT NULL,
            kind text NOT NULL,
            import_log_id integer,
            line_count bigint,
            imported_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("COMMENT ON COLUMN dor_imported_file.digest IS 'SHA-256 of the plain text, hexadecimal'")


def downgrade() -> None:
    op.execute("DROP TABLE dor_imported_file")
