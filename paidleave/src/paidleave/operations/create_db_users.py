"""``db-admin-create-db-users``: create or update the database users of :mod:`paidleave.db.users`.

One transaction: acquire a lock → choose each user's login method → create or update the users → their roles → their
privileges on the tables. A failed run changes nothing. A second run changes only the salts of the passwords.

A password never leaves this process. libpq computes a SCRAM verifier (RFC 5803) here and only that is sent, so
neither the server's log nor ``pg_stat_statements`` can contain a password.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Literal

import psycopg
from psycopg import sql
from pydantic import SecretStr

from nightferry import JobFailed, Run, background_task
from paidleave.db import grants, locks
from paidleave.db.connection import connect
from paidleave.db.driver_errors import describe_error, explain_database_errors
from paidleave.db.users import API, APPLICATION_ROLE, IMPERSONAL, JOBS, READ_ONLY, SCANNER, USERS, DatabaseUser
from paidleave.operations.settings import CreateDbUsersSettings

IAM_ROLE = "rds_iam"
"""The role of Amazon RDS whose members can log in only with an identity token."""

Login = Literal["password", "token", "trust"]
_log = logging.getLogger(__name__)


class UserUpdateFailed(JobFailed):
    """The users could not be created or updated, and nothing was changed."""


@background_task("db-admin-create-db-users", CreateDbUsersSettings)
@explain_database_errors
def main(settings: CreateDbUsersSettings, run: Run) -> None:  # noqa: ARG001  # every job has a run
    """Create or update the database's users and their privileges."""
    passwords = {
        API: settings.db_api_password,
        JOBS: settings.db_jobs_password,
        READ_ONLY: settings.db_readonly_password,
        IMPERSONAL: settings.db_impersonal_password,
        SCANNER: settings.db_scanner_password,
    }
    needs_credentials = settings.environment != "local"
    with closing(connect(settings)) as connection:
        try:
            create_users(connection, passwords, needs_credentials=needs_credentials)
            connection.commit()
        except psycopg.errors.InsufficientPrivilege as error:
            raise UserUpdateFailed(
                f"Database user {settings.db_username} lacks the privileges to manage users ({describe_error(error)}). "
                "Set DB_USERNAME to the owner of the tables (on Amazon RDS, the master user). Nothing was changed."
            ) from None


def create_users(
    connection: psycopg.Connection[Any], passwords: Mapping[DatabaseUser, SecretStr | None], *, needs_credentials: bool
) -> None:
    """Create or update all users in the caller's transaction. Raises UserUpdateFailed.

    Without ``needs_credentials``, users need neither a password nor a token. The local server trusts every process
    that can open its socket.
    """
    locks.USERS.acquire_in_transaction(connection)
    has_tokens = _role_exists(connection, IAM_ROLE)
    logins = _choose_logins(passwords, has_tokens=has_tokens, needs_credentials=needs_credentials)
    if not _role_exists(connection, APPLICATION_ROLE):
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(APPLICATION_ROLE)))
    for user, login in logins.items():
        is_new = not _role_exists(connection, user.name)
        _set_attributes(connection, user, is_new=is_new)
        _set_password(connection, user, passwords[user] if login == "password" else None)
        _set_roles(connection, user, {*user.roles, *((IAM_ROLE,) if login == "token" else ())})
        _log.info(
            "user %s %s: %s",
            user.name,
            "created" if is_new else "is up to date",
            user.purpose,
            extra={"event": "database_user", "user": user.name, "is_new": is_new, "login": login},
        )
    grants.renew(connection)


def _choose_logins(
    passwords: Mapping[DatabaseUser, SecretStr | None], *, has_tokens: bool, needs_credentials: bool
) -> dict[DatabaseUser, Login]:
    logins: dict[DatabaseUser, Login] = {}
    without_credentials = []
    for user in USERS:
        if passwords.get(user) is not None:
            logins[user] = "password"
        elif not user.allow_token:
            _log.info("user %s skipped: it has no password", user.name)
        elif has_tokens:
            logins[user] = "token"
        elif not needs_credentials:
            logins[user] = "trust"
        else:
            without_credentials.append(user.name)
    if without_credentials:
        raise UserUpdateFailed(
            f"{', '.join(without_credentials)} cannot log in: no password is set, and the server has no role "
            f"{IAM_ROLE} for identity tokens. Set the secrets of the passwords, or enable IAM authentication. "
            "Nothing was changed."
        )
    return logins


def _role_exists(connection: psycopg.Connection[Any], role: str) -> bool:
    return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


def _set_attributes(connection: psycopg.Connection[Any], user: DatabaseUser, *, is_new: bool) -> None:
    name = sql.Identifier(user.name)
    if is_new:
        connection.execute(sql.SQL("CREATE ROLE {}").format(name))
    superuser_attributes = connection.execute(
        "SELECT rolsuper OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = %s", [user.name]
    ).fetchone()
    if superuser_attributes is not None and superuser_attributes[0]:
        raise UserUpdateFailed(
            f"User {user.name} has SUPERUSER, REPLICATION or BYPASSRLS, which only a superuser can remove. As a "
            f"superuser run: ALTER ROLE {user.name} NOSUPERUSER NOREPLICATION NOBYPASSRLS. Nothing was changed."
        )
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN INHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT {}").format(
            name, user.connection_limit
        )
    )
    default = sql.SQL("SET default_transaction_read_only = on" if user.read_only else "RESET ALL")
    if user.managed:
        connection.execute(sql.SQL("ALTER ROLE {} {}").format(name, default))
    if user.temp_file_limit is not None:
        _limit_temporary_files(connection, user.name, user.temp_file_limit)


def _limit_temporary_files(connection: psycopg.Connection[Any], user: str, limit: str) -> None:
    """Limit the size of a session's temporary files. Only a superuser may; others can set it for the whole server."""
    try:
        with connection.transaction():
            connection.execute(
                sql.SQL("ALTER ROLE {} SET temp_file_limit = {}").format(sql.Identifier(user), sql.Literal(limit))
            )
    except psycopg.errors.InsufficientPrivilege:
        server_limit = connection.execute("SELECT current_setting('temp_file_limit')").fetchone()
        if server_limit == ("-1",):
            _log.warning(
                "%s's temporary files are not limited, and execute-sql will not run: the current user cannot set "
                "temp_file_limit for a user, and the server has no limit. Set temp_file_limit for the server (on "
                "Amazon RDS in the DB parameter group)",
                user,
            )


def _set_password(connection: psycopg.Connection[Any], user: DatabaseUser, password: SecretStr | None) -> None:
    verifier = None
    if password is not None:
        plain = password.get_secret_value().encode()
        verifier = connection.pgconn.encrypt_password(plain, user.name.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user.name), verifier))


def _set_roles(connection: psycopg.Connection[Any], user: DatabaseUser, roles: set[str]) -> None:
    """Make ``user`` a member of ``roles``, and for a managed user of no others."""
    member = sql.Identifier(user.name)
    present = _query_roles(connection, user)
    for role in sorted(roles - present):
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), member))
    unwanted = present - roles if user.managed else (present & {IAM_ROLE}) - roles
    for role in sorted(unwanted):
        connection.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), member))
        # Since PostgreSQL 16, a REVOKE of a membership that another role granted has no effect.
        if role in _query_roles(connection, user):
            raise UserUpdateFailed(
                f"User {user.name} is a member of {role}, and only the role that granted the membership can revoke it. "
                f"As that role run: REVOKE {role} FROM {user.name}. Nothing was changed."
            )
        _log.warning("revoked role %s from user %s", role, user.name)


def _query_roles(connection: psycopg.Connection[Any], user: DatabaseUser) -> set[str]:
    found = connection.execute(
        "SELECT granted.rolname FROM pg_auth_members AS membership"
        " JOIN pg_roles AS granted ON granted.oid = membership.roleid"
        " WHERE membership.member = (SELECT oid FROM pg_roles WHERE rolname = %s)",
        [user.name],
    )
    return {name for (name,) in found}
