"""Both FINEOS queues learn who works on a row and until when, how often it was tried, and what went wrong last.

Before, a row claimed by a process number belonged to it for ever, and a row that always fails was tried for ever.
``last_error`` holds an error's type and status, no personal data.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

QUEUES = ("employer_push_to_fineos_queue", "employee_push_to_fineos_queue")


def upgrade() -> None:
    for queue in QUEUES:
        op.execute(
            f"ALTER TABLE {queue} ADD COLUMN attempts integer NOT NULL DEFAULT 0, ADD COLUMN claimed_by text, "
            "ADD COLUMN lease_expires_at timestamptz, ADD COLUMN last_error text"
        )


def downgrade() -> None:
    for queue in QUEUES:
        op.execute(
            f"ALTER TABLE {queue} DROP COLUMN attempts, DROP COLUMN claimed_by, "
            "DROP COLUMN lease_expires_at, DROP COLUMN last_error"
        )
