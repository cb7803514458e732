"""Create trigram indexes on names and email addresses of the table ``employee``.

The API's people search uses them. They require the extension ``pg_trgm``. If the extension does not exist and cannot be
created, this revision skips the indexes, which the jobs do not need.
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
        log.info("trigram indexes: found and left unchanged")
        return
    operator_class = _find_operator_class()
    if operator_class is None:
        log.info("trigram indexes: skipped because the extension pg_trgm cannot be created")
        return
    for column in COLUMNS:
        op.execute(f"CREATE INDEX IF NOT EXISTS ix_employee_{column} ON employee USING gin ({column} {operator_class})")
    log.info("trigram indexes: %d created", len(COLUMNS))


def downgrade() -> None:
    """Do nothing: dropping the table drops its indexes, and the API's table retains them."""


def _find_operator_class() -> str | None:
    """Return the qualified name of the operator class, or None if the extension cannot be created.

    The name is qualified because the extension may be in any schema.
    """
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
