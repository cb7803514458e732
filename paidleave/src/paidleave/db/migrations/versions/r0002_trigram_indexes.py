"""Trigram indexes on names and e-mail addresses, on a table ``employee`` that we created.

They serve the API's search for people. They need the extension ``pg_trgm``: where it is neither there nor may be
created (or PostgreSQL was installed without it), the indexes are left out, and the jobs miss nothing.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from paidleave.db.migrations.queries import log, select_number

revision = "0002"
down_revision = "0001"

COLUMNS = (
    "first_name",
    "last_name",
    "middle_name",
    "other_name",
    "email_address",
    "fineos_employee_first_name",
    "fineos_employee_middle_name",
    "fineos_employee_last_name",
)


def upgrade() -> None:
    if select_number(
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'employee' AND schemaname = current_schema()"
        " AND indexdef LIKE '%gin_trgm_ops%'"
    ):
        log.info("trigram indexes: found and left as they are")
        return
    operators = _operators()
    if operators is None:
        log.info("trigram indexes: left out, because the extension pg_trgm cannot be created here")
        return
    for column in COLUMNS:
        op.execute(f"CREATE INDEX IF NOT EXISTS ix_employee_{column} ON employee USING gin ({column} {operators})")
    log.info("trigram indexes: %d created", len(COLUMNS))


def downgrade() -> None:
    """Nothing to take back: the indexes go with the table if it is ours, and stay with the API's."""


def _operators() -> str | None:
    """The qualified name of the operator class (the extension may live in any schema); None without the extension."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    except DBAPIError:
        return None
    schema = connection.execute(
        text(
            "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
            " WHERE extname = 'pg_trgm'"
        )
    ).scalar_one()
    return f"{schema}.gin_trgm_ops"
