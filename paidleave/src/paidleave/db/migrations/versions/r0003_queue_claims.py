"""Add the claim, its expiry time, the number of attempts and the last error to both FINEOS queues.

Without these columns, a claim by a process number never expires, and a row that always fails is retried forever.
``last_error`` holds the type and status of an error and no personal data.
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
