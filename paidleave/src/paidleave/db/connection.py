"""Connections to the database with psycopg, without a pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import psycopg
from pydantic import SecretStr

from nightferry.job import JobFailed
from paidleave.db.users import USERS

Connect = Callable[[], psycopg.Connection]
"""A callable that opens a new connection."""

CONNECT_TIMEOUT_SECONDS = 10  # for each of the host's addresses
_LOCAL = "local"


class Database(Protocol):
    """The address of the database and the user that connects, as in ``DatabaseSettings``."""

    environment: str
    db_host: str
    db_port: int
    db_name: str
    db_username: str
    db_password: SecretStr | None
    db_schema: str


class DatabaseUnreachable(JobFailed):
    """The connection failed or was refused. Check DB_HOST, DB_PORT, DB_NAME and the user's password."""

    def __init__(self, settings: Database, reason: str) -> None:
        super().__init__(
            f"Cannot connect to the database {settings.db_name} on {settings.db_host}, port {settings.db_port}, "
            f"as {settings.db_username}: {reason}. {_suggest_fix(settings.db_username, reason)}"
        )


def connect(settings: Database, *, autocommit: bool = False) -> psycopg.Connection:
    """Return a new connection to the database.

    A network connection requires TLS, except in the environment ``local``. If no password is set, it authenticates
    with a cloud identity token.

    Raises:
        DatabaseUnreachable: The connection failed or was refused.
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
    """Return a callable that opens a new connection on each call."""
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
        return "Run db-admin-create-db-users once to create it, then start again."
    return "Check DB_HOST, DB_PORT, DB_NAME, DB_USERNAME and DB_PASSWORD."


def _extract_reason(error: psycopg.OperationalError) -> str:
    """Return the last line of libpq's message, which is the text of the server or operating system."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    relevant = [line for line in lines if not line.startswith(("Multiple connection attempts", "- host", "Is the "))]
    last = (relevant or lines or ["no reason given"])[-1]
    return last.removeprefix("connection failed: ").removeprefix("FATAL:").strip().rstrip(".")
