"""What must hold before a statement of ``execute-sql`` runs: its user can only read, and it calls no other functions.

**The user.** Each run connects as a fixed user, whose rights are checked in all schemas. The check gives a positive
result: a schema without tables and an unknown right are errors.

**The functions.** A read-only transaction and missing privileges do not prevent everything. Every user may call
functions that take advisory locks, end sessions, sleep, change settings or run the SQL in a string, and on Amazon RDS
nobody can revoke that. PostgreSQL declares such functions VOLATILE. A statement therefore calls no VOLATILE function,
except those in :data:`HARMLESS`, and of the functions outside of PostgreSQL only those that are IMMUTABLE and run with
the caller's rights. PostgreSQL's operators, casts and type conversions call no VOLATILE function.

A function can be called only by its name. The names are searched in the whole text, including literals and comments,
so that a difference between two parsers cannot hide a call.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg.rows import dict_row

from nightferry import JobFailed
from paidleave.db.impersonal import IMPERSONAL_COLUMNS
from paidleave.db.statements import Statements

HARMLESS = (
    *("array_sample", "array_shuffle", "clock_timestamp", "gen_random_uuid", "random", "random_normal"),
    *("timeofday", "uuidv4", "uuidv7"),
    *("pg_database_size", "pg_indexes_size", "pg_relation_size", "pg_table_size", "pg_total_relation_size"),
)
"""VOLATILE functions of PostgreSQL that only return a random value, the time or a size."""

_SQL = Statements("paidleave.operations")
_IMPERSONAL = [f"{table}.{column}" for table, columns in IMPERSONAL_COLUMNS.items() for column in columns]
_REMEDY = "Run db-admin-create-db-users, which gives the users of execute-sql only their declared privileges."
_ESCAPED_NAME = re.compile(r'u&"', re.IGNORECASE)
_BEFORE = r"(?<![a-z_\x80-\U0010ffff])"
_AFTER = r"(?![a-z0-9_$\x80-\U0010ffff])"
_CALL = r'"?\s*(?:\(|/\*|--)'  # what may be between a name and its arguments


class DatabaseUserCanWrite(JobFailed):
    """execute-sql runs only as a database user who cannot write."""


class DatabaseUserCanReadPersonalData(JobFailed):
    """Without ALLOW_PERSONAL_DATA, execute-sql runs only as a database user who cannot read personal data."""


class RightsUnknown(JobFailed):
    """The rights of the database user could not be checked, for example because DB_SCHEMA does not exist."""


class TemporaryFilesUnlimited(JobFailed):
    """The server does not limit the temporary files of the database user, so that a statement could fill its disk."""


class FunctionRefused(ValueError):
    """A statement contains the name of a function that may do more than compute a value. The message has the reason."""


def check_rights(connection: psycopg.Connection[Any], *, schema: str, allow_personal_data: bool) -> None:
    """Check that the connection's user can only read, and without ``allow_personal_data`` only impersonal columns.

    Raises DatabaseUserCanWrite, DatabaseUserCanReadPersonalData, RightsUnknown or TemporaryFilesUnlimited.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        found = _SQL.run(cursor, "reader_rights", impersonal=_IMPERSONAL).fetchone() or {}
    user = connection.info.user
    if not found.get("schema") or not found["tables"]:
        raise RightsUnknown(
            f"Schema '{schema}' does not exist, has no tables, or is not accessible to database user {user}, so that "
            "the user's rights cannot be checked. Check DB_SCHEMA and DB_NAME, and run db-migrate-up."
        )
    if found["can_write"] is not False:
        raise DatabaseUserCanWrite(
            f"Database user {user} can write; execute-sql requires a user who can only read. {_REMEDY}"
        )
    if roles := found["roles"]:
        raise DatabaseUserCanWrite(
            f"Database user {user} is a member of {', '.join(roles)}, whose rights exceed reading. {_REMEDY}"
        )
    if found["can_read_personal_data"] is not False and not allow_personal_data:
        raise DatabaseUserCanReadPersonalData(
            f"Database user {user} can read personal data, which requires ALLOW_PERSONAL_DATA with "
            f"DESTINATION=bucket. {_REMEDY}"
        )
    if found["temp_file_limit"] is None or found["temp_file_limit"] < 0:
        raise TemporaryFilesUnlimited(
            f"The server does not limit the temporary files of database user {user} (temp_file_limit). Run "
            "db-admin-create-db-users as a superuser, or set temp_file_limit for the server (on Amazon RDS in the DB "
            "parameter group)."
        )


def check_functions(connection: psycopg.Connection[Any], statement: str) -> None:
    """Raise FunctionRefused if the statement may call a function that does more than compute a value."""
    if _ESCAPED_NAME.search(statement):
        raise FunctionRefused('contains a name with Unicode escapes (U&"…"). Write the name without escapes')
    refused = _SQL.run(connection, "refused_functions", harmless=list(HARMLESS)).fetchall()
    called = _match_any(name for name, _ in refused)
    selected = _match_any(name for name, takes_row in refused if takes_row)
    text = statement.lower()
    found = re.search(f"{_BEFORE}{called}{_AFTER}{_CALL}", text) or re.search(f"{_BEFORE}{selected}{_AFTER}", text)
    if found:
        raise FunctionRefused(
            f"contains the name of the function {found['name']}, which may do more than compute a value: it is "
            "VOLATILE, or not part of PostgreSQL. Use another function, or another alias"
        )


def _match_any(names: Any) -> str:
    # A name in quotes contains each quote twice.
    alternatives = "|".join(sorted(re.escape(name.lower().replace('"', '""')) for name in names))
    return f"(?P<name>{alternatives or '(?!)'})"
