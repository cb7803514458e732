"""Create the table of leases, which prevent concurrent runs of a task. A lease expires unless it is renewed."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE longshore_lease (
            name text PRIMARY KEY,
            holder text NOT NULL,
            acquired_at timestamptz NOT NULL DEFAULT now(),
            renewed_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE longshore_lease")
