"""Foreign keys of a bulk import: checked as one set instead of row by row, where the role may.

PostgreSQL checks a foreign key by a query for every inserted row, which takes more time than everything else. A role
that may set ``session_replication_role`` (a superuser; ``rds_superuser`` on Amazon RDS; any role that was granted
SET on it) switches these queries off for the transaction, and the import locks the rows that it refers to with
``FOR KEY SHARE``, which is the very lock that the queries take, and counts them. No row can vanish between the
check and the commit.
"""

from __future__ import annotations

from typing import Any

import psycopg


def check_as_set(connection: psycopg.Connection[Any]) -> bool:
    """Switch the row-by-row checks off for this transaction; False where the role may not, and they stay on."""
    try:
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True
