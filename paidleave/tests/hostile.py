"""Defaults of a database or user that would break a job that relies on PostgreSQL's own defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

# The time limits are long enough to log in and too short to wait for another job.
HOSTILE = {
    "client_encoding": "LATIN1",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kolkata",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "restrict_nonsystem_relation_kind": "view, foreign-table",
    "session_replication_role": "replica",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "exit_on_error": "on",
    "synchronous_commit": "off",
    "idle_in_transaction_session_timeout": "100ms",
    "idle_session_timeout": "100ms",
    "lock_timeout": "100ms",
    "statement_timeout": "100ms",
    "transaction_timeout": "100ms",
    "log_parameter_max_length_on_error": "-1",
}


@contextmanager
def set_hostile(database: str, owner: str, settings: Mapping[str, str], attributes: str = "LOGIN") -> Iterator[None]:
    """Set defaults of the database (``owner`` is ``DATABASE``) or of the new user ``hostile`` (``ROLE``) in the block.

    ``attributes`` are those of the user. Settings that the server lacks are left out.
    """
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS hostile")
        connection.execute(f"CREATE ROLE hostile {attributes}".encode())
        name = connection.info.dbname if owner == "DATABASE" else "hostile"
        for setting, value in settings.items():
            if connection.execute("SELECT current_setting(%s, true)", [setting]).fetchone() != (None,):
                alter = sql.SQL("ALTER {} {} SET {} = {}").format(
                    sql.SQL(owner), sql.Identifier(name), sql.Identifier(setting), value
                )
                connection.execute(alter)
    try:
        yield
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DROP ROLE hostile")
