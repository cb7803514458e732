"""Record which import processed a rejected line again: a replay of the line, or another import of its file."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("ALTER TABLE dor_rejected_line ADD superseded_by integer")
    op.execute(
        "COMMENT ON COLUMN dor_rejected_line.superseded_by IS"
        " 'The import that imported the line later, or that imported its file again; NULL if the line is missing'"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE dor_rejected_line DROP superseded_by")
