"""Defaults of a database or user that would break a job that relies on PostgreSQL's own defaults."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from paidleave.db import locks

# The time limits are long enough to log in and too short to wait for another job (:func:`hold_up_imports`).
HOSTILE = {
    "client_encoding": "LATIN1",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kolkata",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "restrict_nonsystem_relation_kind": "view, foreign-table",
    "row_security": "on",
    "session_replication_role": "replica",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "exit_on_error": "on",
    "synchronous_commit": "off",
    "idle_in_transaction_session_timeout": "1s",
    "idle_session_timeout": "1s",
    "lock_timeout": "1s",
    "statement_timeout": "1s",
    "transaction_timeout": "1s",
    "log_parameter_max_length_on_error": "-1",
}


TIME_LIMITS = [name for name in HOSTILE if name.endswith("_timeout")]


@contextmanager
def hold_up_imports(database: str) -> Iterator[None]:
    """Make the next import wait for another run, and then for its file, each for longer than the time limits."""

    def hold() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            for name in TIME_LIMITS:
                connection.execute(
                    "SELECT set_config(%s, '0', false) WHERE current_setting(%s, true) <> '0'", [name, name]
                )
            locks.DOR_RUN.acquire(connection)
            locks.DOR_FILE.acquire(connection)
            held.set()
            time.sleep(1.3)
            locks.DOR_RUN.release(connection)
            time.sleep(1.3)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    try:
        yield
    finally:
        holder.join()


@contextmanager
def set_hostile(database: str, owner: str, settings: Mapping[str, str], attributes: str = "LOGIN") -> Iterator[None]:
    """Set defaults of the database (``owner`` is ``DATABASE``) or of the new user ``hostile`` (``ROLE``) in the block.

    ``attributes`` are those of the user. Settings that the server lacks are left out.
    """
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS hostile")
        connection.execute(f"CREATE ROLE hostile {attributes}".encode())
        alter(connection, owner, connection.info.dbname if owner == "DATABASE" else "hostile", settings)
    try:
        yield
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DROP ROLE hostile")


def alter(connection: psycopg.Connection, owner: str, name: str, settings: Mapping[str, str]) -> None:
    """Set the defaults of the database or role ``name``, except those that the server lacks."""
    for setting, value in settings.items():
        if connection.execute("SELECT current_setting(%s, true)", [setting]).fetchone() != (None,):
            statement = sql.SQL("ALTER {} {} SET {} = {}").format(
                sql.SQL(owner), sql.Identifier(name), sql.Identifier(setting), value
            )
            connection.execute(statement)
