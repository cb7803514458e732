"""Record the versions of processed objects for imports that do not move their files."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE processed_object (
            source text NOT NULL,
            uri text NOT NULL,
            version text NOT NULL,
            processed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (source, uri, version)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE processed_object")
