"""Connections to the database with psycopg, without a pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import psycopg
from pydantic import SecretStr

from nightferry import JobFailed, get_database_message
from paidleave.db.users import USERS

Connect = Callable[[], psycopg.Connection]
"""A callable that opens a new connection."""

CONNECT_TIMEOUT_SECONDS = 10  # for each of the host's addresses
_LOCAL = "local"

# Both ends notice within two minutes that a network connection is dead, however long a statement takes. Without this,
# a job waits for hours, and the server holds the locks of a job that has vanished.
_IDLE_SECONDS, _PROBE_SECONDS, _PROBES = 60, 15, 4
_USER_TIMEOUT = (_IDLE_SECONDS + _PROBE_SECONDS * _PROBES) * 1000

SESSION_SETTINGS = {
    # Text of values, both ways.
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # Meaning of statements.
    "array_nulls": "on",
    "restrict_nonsystem_relation_kind": "",
    "row_security": "off",  # a policy raises an error instead of hiding rows
    "session_replication_role": "origin",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    # Transactions: a file is moved after its commit, so that the commit must survive a crash of the server.
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "exit_on_error": "off",
    "synchronous_commit": "on",
    # Time limits are for the API's short statements. The time limit of a task limits a job, and a job that waits for
    # another one holds its locks by an idle connection.
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    # The server's log must not contain the values of statements.
    "log_parameter_max_length_on_error": "0",
    # The server's end of the connection; over a Unix socket, these have no effect.
    "tcp_keepalives_idle": str(_IDLE_SECONDS),
    "tcp_keepalives_interval": str(_PROBE_SECONDS),
    "tcp_keepalives_count": str(_PROBES),
    "tcp_user_timeout": str(_USER_TIMEOUT),
}
"""The settings of each session that the jobs rely on, by name.

A database or role can have other defaults (``ALTER DATABASE … SET``, ``ALTER ROLE … SET``), as can the process
(``PGOPTIONS``, ``PGDATESTYLE``). Settings that the server lacks are left out.
"""

# Only settings that differ are set, because some require a privilege. A server without a setting reports NULL.
_PIN = """
    SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS pinned (name, value)
    WHERE current_setting(name, true) <> value
"""


class Database(Protocol):
    """The address of the database and the user that connects, as in ``DatabaseSettings``."""

    environment: str
    db_host: str
    db_port: int
    db_name: str
    db_username: str
    db_password: SecretStr | None
    db_schema: str
    db_ca_file: str


class DatabaseUnreachable(JobFailed):
    """The connection failed or was refused. Check DB_HOST, DB_PORT, DB_NAME and the user's password."""

    def __init__(self, settings: Database, reason: str) -> None:
        super().__init__(
            f"Cannot connect to the database {settings.db_name} on {settings.db_host}, port {settings.db_port}, "
            f"as {settings.db_username}: {reason}. {_suggest_fix(settings.db_username, reason)}"
        )


def connect(settings: Database, *, autocommit: bool = False) -> psycopg.Connection:
    """Return a new connection to the database, with the settings in :data:`SESSION_SETTINGS`.

    A network connection requires TLS, except in the environment ``local``. With a file of certificate authorities, it
    also verifies the server's certificate and host name. If no password is set, it authenticates with a cloud identity
    token.

    Raises:
        DatabaseUnreachable: The connection failed or was refused.
    """
    try:
        connection = _open(settings)
    except psycopg.OperationalError as error:
        raise DatabaseUnreachable(settings, _extract_reason(error)) from None
    try:
        connection.execute(_PIN, [list(SESSION_SETTINGS), list(SESSION_SETTINGS.values())])
        connection.autocommit = autocommit
    except psycopg.Error as error:
        connection.close()
        raise DatabaseUnreachable(settings, _extract_reason(error)) from None
    return connection


def _open(settings: Database) -> psycopg.Connection:
    sslmode, ca_file = _get_tls(settings)
    return psycopg.connect(
        host=settings.db_host,
        port=settings.db_port,
        dbname=settings.db_name,
        user=settings.db_username,
        password=_get_password(settings),
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        application_name="nightferry",
        # The time limit of a statement may be too short for the statement that pins the settings.
        options=f"-c search_path={settings.db_schema} -c statement_timeout=0",
        client_encoding=SESSION_SETTINGS["client_encoding"],
        keepalives_idle=_IDLE_SECONDS,
        keepalives_interval=_PROBE_SECONDS,
        keepalives_count=_PROBES,
        tcp_user_timeout=_USER_TIMEOUT,
        sslmode=sslmode,
        sslrootcert=ca_file,
        autocommit=True,  # so that a rollback does not revert the session's settings
    )


def make_connector(settings: Database, *, autocommit: bool = False) -> Connect:
    """Return a callable that opens a new connection on each call."""
    return partial(connect, settings, autocommit=autocommit)


def _is_remote(settings: Database) -> bool:
    return settings.environment != _LOCAL and not settings.db_host.startswith("/")


def _get_tls(settings: Database) -> tuple[str, str | None]:
    """Return libpq's ``sslmode`` and ``sslrootcert``."""
    if settings.db_ca_file and not settings.db_host.startswith("/"):
        return "verify-full", settings.db_ca_file
    return "require" if _is_remote(settings) else "prefer", None


def _get_password(settings: Database) -> str | None:
    if settings.db_password is not None:
        return settings.db_password.get_secret_value()
    if not _is_remote(settings):
        return None
    from nightferry.credentials import database_token

    return database_token(settings.db_host, settings.db_port, settings.db_username)


def _suggest_fix(user: str, reason: str) -> str:
    if "permission denied to set parameter" in reason:
        return "Reset this parameter for the database and the user: ALTER DATABASE … RESET, ALTER ROLE … RESET."
    if reason.endswith(f'role "{user}" does not exist') and user in {known.name for known in USERS}:
        return "Run db-admin-create-db-users once to create it, then start again."
    if "certificate" in reason:
        return "Check DB_HOST, and that DB_CA_FILE has the authority of the server's certificate."
    return "Check DB_HOST, DB_PORT, DB_NAME, DB_USERNAME and DB_PASSWORD."


_ADDED_LINES = ("Multiple connection attempts", "- host", "Is the ", "DETAIL:", "HINT:")


def _extract_reason(error: psycopg.Error) -> str:
    """Return the text of the server or operating system, without what libpq adds."""
    if error.sqlstate is not None:
        return get_database_message(error) or f"SQLSTATE {error.sqlstate}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    relevant = [line for line in lines if not line.startswith(_ADDED_LINES)]
    last = (relevant or lines or ["no reason given"])[-1]
    _, _, reason = last.rpartition("FATAL:")
    return reason.removeprefix("connection failed: ").strip().rstrip(".")
