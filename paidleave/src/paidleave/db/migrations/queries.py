"""Queries that revisions use to inspect the database."""

from __future__ import annotations

import logging

from alembic import op
from sqlalchemy import text

# Revisions log counts and ids, and never personal data such as names or tax identifiers.
log = logging.getLogger("paidleave.db.migrations")


def select_number(statement: str, **values: object) -> int:
    """Return the number that ``statement`` selects."""
    return int(op.get_bind().execute(text(statement), values).scalar_one())


def count_changed_rows(statement: str) -> int:
    """Execute ``statement`` and return the number of rows that it inserted, updated or deleted."""
    return int(op.get_bind().execute(text(statement)).rowcount)


def has_table(table: str) -> bool:
    """Return True if the current schema has ``table``."""
    return bool(
        select_number(
            "SELECT count(*) FROM pg_class WHERE relname = :table AND relkind IN ('r', 'p') "
            "AND relnamespace = current_schema()::regnamespace",
            table=table,
        )
    )


def list_tables_with_comment(comment: str) -> list[str]:
    """Return the tables of the current schema whose comment is ``comment``."""
    rows = op.get_bind().execute(
        text(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND relnamespace = current_schema()::regnamespace AND obj_description(oid, 'pg_class') = :comment"
        ),
        {"comment": comment},
    )
    return sorted(rows.scalars())


def is_unique(table: str, *columns: str) -> bool:
    """Return True if an index or constraint of any name makes ``columns`` of ``table`` unique over all rows."""
    return bool(
        select_number(
            "SELECT count(*) FROM pg_index WHERE indrelid = to_regclass(:table) AND indisunique AND indisvalid "
            "AND indpred IS NULL AND indexprs IS NULL AND indnkeyatts = indnatts AND :columns = ("
            "  SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute"
            "  WHERE attrelid = indrelid AND attnum = ANY (indkey))",
            table=table,
            columns=",".join(sorted(columns)),
        )
    )
