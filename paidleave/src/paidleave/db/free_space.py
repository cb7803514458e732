"""Reuse of the space of deleted rows."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

# Fewer rows are left to the autovacuum.
_MANY_ROWS = 10_000


def free_space(connection: psycopg.Connection[Any], table: str, deleted: int) -> None:
    """Make the space of ``deleted`` rows of ``table`` reusable at once, if they are many; end no transaction before.

    A repeated attempt would otherwise add to the table before the autovacuum starts. A role without the right to
    maintain the table leaves it to the autovacuum, and so does an error, because the rows are already deleted.
    """
    if deleted <= _MANY_ROWS:
        return
    with suppress(psycopg.Error):
        connection.autocommit = True
        connection.execute("SET statement_timeout = 0")
        connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier(table)))
