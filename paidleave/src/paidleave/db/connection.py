"""Connections to the database: plain psycopg, one statement a step, no pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import psycopg
from pydantic import SecretStr

from nightferry.job import JobFailed
from paidleave.db.users import USERS

Connect = Callable[[], psycopg.Connection]
"""Opens a new connection."""

CONNECT_TIMEOUT_SECONDS = 10  # seconds, for each of the host's addresses
_LOCAL = "local"


class Database(Protocol):
    """Where the database is and who connects: the fields of ``DatabaseSettings``."""

    environment: str
    db_host: str
    db_port: int
    db_name: str
    db_username: str
    db_password: SecretStr | None
    db_schema: str


class DatabaseUnreachable(JobFailed):
    """The database cannot be reached or refuses us. Check DB_HOST, DB_PORT, DB_NAME and the user's password."""

    def __init__(self, settings: Database, reason: str) -> None:
        super().__init__(
            f"Cannot connect to the database {settings.db_name} on {settings.db_host}, port {settings.db_port}, "
            f"as {settings.db_username}: {reason}. {_suggest_fix(settings.db_username, reason)}"
        )


def connect(settings: Database, *, autocommit: bool = False) -> psycopg.Connection:
    """Return a new connection to the database. Raises DatabaseUnreachable.

    On a network outside the environment ``local``, TLS is required; without a password a cloud identity token is one.
    """
    try:
        return psycopg.connect(
            host=settings.db_host,
            port=settings.db_port,
            dbname=settings.db_name,
            user=settings.db_username,
            password=_get_password(settings),
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="nightferry",
            options=f"-c search_path={settings.db_schema} -c timezone=UTC",
            sslmode="require" if _is_remote(settings) else "prefer",
            autocommit=autocommit,
        )
    except psycopg.OperationalError as error:
        raise DatabaseUnreachable(settings, _extract_reason(error)) from None


def make_connector(settings: Database, *, autocommit: bool = False) -> Connect:
    """A callable that opens a new connection each time."""
    return partial(connect, settings, autocommit=autocommit)


def _is_remote(settings: Database) -> bool:
    return settings.environment != _LOCAL and not settings.db_host.startswith("/")


def _get_password(settings: Database) -> str | None:
    if settings.db_password is not None:
        return settings.db_password.get_secret_value()
    if not _is_remote(settings):
        return None
    from nightferry.credentials import database_token

    return database_token(settings.db_host, settings.db_port, settings.db_username)


def _suggest_fix(user: str, reason: str) -> str:
    if reason.endswith(f'role "{user}" does not exist') and user in {known.name for known in USERS}:
        return "db-admin-create-db-users creates it: run that once, then start again."
    return "Check DB_HOST, DB_PORT, DB_NAME, DB_USERNAME and DB_PASSWORD."


def _extract_reason(error: psycopg.OperationalError) -> str:
    """The last line of libpq's message, which is the server's or the system's own words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    relevant = [line for line in lines if not line.startswith(("Multiple connection attempts", "- host", "Is the "))]
    last = (relevant or lines or ["no reason given"])[-1]
    return last.removeprefix("connection failed: ").removeprefix("FATAL:").strip().rstrip(".")
