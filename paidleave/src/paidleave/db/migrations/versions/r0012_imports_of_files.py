"""Record each import of a DOR file, by the kind and the SHA-256 of its content.

The digest alone identified a file, so that content imported as the wrong kind could not be imported as the right one,
and a file with rejected lines could not be imported again. The time in a file's name determines which of two files
wrote the newer values.

A downgrade retains the first import of each content.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime

from alembic import op
from sqlalchemy import text

revision = "0012"
down_revision = "0011"

COMMENTS = {
    "file_time": "The time in the name of the file; NULL if it has no valid one",
    "run_id": "The run that imported the file",
    "object_version": "The received object, which is imported again only if it is a new one",
    "replayed_import_log_id": "The import whose rejected lines this import replayed; NULL for a file",
}


def upgrade() -> None:
    op.execute("UPDATE dor_imported_file SET import_log_id = 0 WHERE import_log_id IS NULL")
    op.execute("""
        ALTER TABLE dor_imported_file
            ALTER import_log_id SET NOT NULL,
            ADD file_time timestamptz,
            ADD run_id text,
            ADD object_version text,
            ADD replayed_import_log_id integer,
            DROP CONSTRAINT dor_imported_file_pkey,
            ADD CONSTRAINT dor_imported_file_pkey PRIMARY KEY (kind, digest, import_log_id)
    """)
    for column, comment in COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN dor_imported_file.{column} IS '{comment}'")
    connection = op.get_bind()
    names = connection.execute(text("SELECT DISTINCT name FROM dor_imported_file")).scalars().all()
    times = [{"name": name, "time": time} for name in names if (time := _parse_time(name))]
    if times:
        connection.execute(text("UPDATE dor_imported_file SET file_time = :time WHERE name = :name"), times)


def downgrade() -> None:
    op.execute("""
        DELETE FROM dor_imported_file AS later
        WHERE replayed_import_log_id IS NOT NULL OR EXISTS (
            SELECT FROM dor_imported_file AS first
            WHERE first.digest = later.digest AND first.replayed_import_log_id IS NULL
              AND (first.import_log_id, first.kind) < (later.import_log_id, later.kind)
        )
    """)
    op.execute("""
        ALTER TABLE dor_imported_file
            DROP CONSTRAINT dor_imported_file_pkey,
            ADD CONSTRAINT dor_imported_file_pkey PRIMARY KEY (digest),
            ALTER import_log_id DROP NOT NULL,
            DROP file_time,
            DROP run_id,
            DROP object_version,
            DROP replayed_import_log_id
    """)


def _parse_time(name: str) -> datetime | None:
    digits = re.fullmatch("DORD[A-Z]+(?:_SUBMISSION)?_([0-9]{14})", name)
    with suppress(ValueError):
        return datetime.strptime(digits[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC) if digits else None
    return None
