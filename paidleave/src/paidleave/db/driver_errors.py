"""Descriptions of database driver errors without personal data, by the rule of ``nightferry.job``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TypeVar

import psycopg

from nightferry import JobFailed, Run, get_database_message
from paidleave.db.settings import DatabaseSettings

Settings = TypeVar("Settings", bound=DatabaseSettings)


class DatabaseFailed(JobFailed):
    """The database reported an error that no step of the job expects. The message has the error and its remedy."""


def explain_database_errors(body: Callable[[Settings, Run], None]) -> Callable[[Settings, Run], None]:
    """Convert errors of the driver in the body of a job to DatabaseFailed, without a traceback; a decorator."""

    @functools.wraps(body)
    def explained(settings: Settings, run: Run) -> None:
        try:
            body(settings, run)
        except psycopg.Error as error:
            raise DatabaseFailed(explain_error(error, settings)) from None

    return explained


def explain_error(error: psycopg.Error, settings: DatabaseSettings) -> str:
    """Return the description of ``error``, the database and user, and the remedy."""
    place = f"{settings.db_name} on {settings.db_host}, schema {settings.db_schema}, user {settings.db_username}"
    return f"database error: {describe_error(error)} ({place}). {_suggest_fix(error)}"


def _suggest_fix(error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn() | psycopg.errors.InvalidSchemaName():
            return "Check DB_NAME and DB_SCHEMA, and run db-migrate-up."
        case psycopg.errors.InsufficientPrivilege():
            return "Check DB_USERNAME, and run db-admin-create-db-users to grant its privileges."
        case psycopg.errors.ReadOnlySqlTransaction():
            return "After a failover, the old server is read-only: check DB_HOST. Then start the job again."
        case psycopg.errors.DiskFull():
            return "Free space on the disk of the database. Then start the job again."
    return "Start the job again."


def describe_error_kind(error: psycopg.Error) -> str:
    """Return the name of the error's class and its SQLSTATE, such as ``division by zero (SQLSTATE 22012)``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return f"{words} (SQLSTATE {error.sqlstate})" if error.sqlstate else words


def describe_error(error: psycopg.Error) -> str:
    """Return the message of ``error``, or only its kind if the message may quote values of rows."""
    return get_database_message(error) or describe_error_kind(error)
