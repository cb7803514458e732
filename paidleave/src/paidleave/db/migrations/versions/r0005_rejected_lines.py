"""Record the rejected lines of DOR files and the rejected rows of FINEOS files.

A record holds the position and the reason, but not the line or its values. The records are retained if the import of
the file fails.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE dor_rejected_line (
            dor_rejected_line_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            import_log_id integer,
            file_name text NOT NULL,
            line_number bigint NOT NULL,
            record_kind text,
            field text,
            reason text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE fineos_rejected_row (
            fineos_rejected_row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            import_log_id integer,
            file_name text NOT NULL,
            line_number bigint NOT NULL,
            field text,
            reason text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    for table in ("dor_rejected_line", "fineos_rejected_row"):
        for column in ("import_log_id", "file_name"):
            op.execute(f"CREATE INDEX ix_{table}_{column} ON {table} ({column})")


def downgrade() -> None:
    op.execute("DROP TABLE dor_rejected_line, fineos_rejected_row")
