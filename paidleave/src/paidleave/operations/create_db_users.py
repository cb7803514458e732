"""``db-admin-create-db-users``: the database's users, as :mod:`paidleave.db.users` has them.

One transaction: take turns → see how each user may log in → create or correct the users → their roles → their rights
on the tables. Nothing has changed when it fails, and a second run changes nothing but the salts of passwords.

A password never leaves this process. The server gets a SCRAM verifier of it (RFC 5803), made here by libpq, so that
neither its log nor ``pg_stat_statements`` can hold a password.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Literal

import psycopg
from psycopg import sql
from pydantic import SecretStr

from nightferry.job import JobFailed, Run, background_task
from paidleave.db import grants, locks
from paidleave.db.connection import connect
from paidleave.db.driver_errors import describe_error
from paidleave.db.users import API, APPLICATION_ROLE, IMPERSONAL, JOBS, READ_ONLY, SCANNER, USERS, DatabaseUser
from paidleave.operations.settings import CreateDbUsersSettings

IAM_ROLE = "rds_iam"
"""The role of Amazon RDS whose members log in with an identity token, and with nothing else."""

Login = Literal["password", "token", "trust"]
_log = logging.getLogger(__name__)


class UsersUnchanged(JobFailed):
    """The users cannot be as they should, and nothing was changed. Do what the message says and start again."""


@background_task("db-admin-create-db-users", CreateDbUsersSettings)
def main(settings: CreateDbUsersSettings, run: Run) -> None:  # noqa: ARG001  # every job has a run
    """Create the database's users, or correct them, with their rights."""
    passwords = {
        API: settings.db_api_password,
        JOBS: settings.db_jobs_password,
        READ_ONLY: settings.db_readonly_password,
        IMPERSONAL: settings.db_impersonal_password,
        SCANNER: settings.db_scanner_password,
    }
    is_guarded = settings.environment != "local"
    with closing(connect(settings)) as connection:
        try:
            create_users(connection, passwords, is_guarded=is_guarded)
            connection.commit()
        except psycopg.errors.InsufficientPrivilege as error:
            raise UsersUnchanged(
                f"{settings.db_username} may not do this ({describe_error(error)}). Set DB_USERNAME to the owner "
                "of the tables, which on Amazon RDS is the master user. Nothing was changed."
            ) from None


def create_users(
    connection: psycopg.Connection[Any], passwords: Mapping[DatabaseUser, SecretStr | None], *, is_guarded: bool
) -> None:
    """Create or correct all users in the caller's transaction. Raises UsersUnchanged.

    Where the server is not guarded (this machine's own, which trusts who may reach its socket) a user needs neither
    password nor token.
    """
    locks.USERS.acquire_in_transaction(connection)
    has_tokens = _exists(connection, IAM_ROLE)
    logins = _logins(passwords, has_tokens=has_tokens, is_guarded=is_guarded)
    if not _exists(connection, APPLICATION_ROLE):
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(APPLICATION_ROLE)))
    for user, login in logins.items():
        is_new = not _exists(connection, user.name)
        _put_right(connection, user, is_new=is_new)
        _set_password(connection, user, passwords[user] if login == "password" else None)
        _set_roles(connection, user, {*user.roles, *((IAM_ROLE,) if login == "token" else ())})
        _log.info(
            "user %s %s: %s",
            user.name,
            "created" if is_new else "is as it should be",
            user.purpose,
            extra={"event": "database_user", "user": user.name, "is_new": is_new, "login": login},
        )
    grants.renew(connection)


def _logins(
    passwords: Mapping[DatabaseUser, SecretStr | None], *, has_tokens: bool, is_guarded: bool
) -> dict[DatabaseUser, Login]:
    found: dict[DatabaseUser, Login] = {}
    shut_out = []
    for user in USERS:
        if passwords.get(user) is not None:
            found[user] = "password"
        elif not user.allow_token:
            _log.info("user %s is left out: it has no password", user.name)
        elif has_tokens:
            found[user] = "token"
        elif not is_guarded:
            found[user] = "trust"
        else:
            shut_out.append(user.name)
    if shut_out:
        raise UsersUnchanged(
            f"{', '.join(shut_out)} could not log in: there is no password, and the server knows no role {IAM_ROLE} "
            "for identity tokens. Set the passwords' secrets, or switch IAM authentication on. Nothing was changed."
        )
    return found


def _exists(connection: psycopg.Connection[Any], role: str) -> bool:
    return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


def _put_right(connection: psycopg.Connection[Any], user: DatabaseUser, *, is_new: bool) -> None:
    name = sql.Identifier(user.name)
    if is_new:
        connection.execute(sql.SQL("CREATE ROLE {}").format(name))
    mighty = connection.execute(
        "SELECT rolsuper OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = %s", [user.name]
    ).fetchone()
    if mighty is not None and mighty[0]:
        raise UsersUnchanged(
            f"User {user.name} is a superuser, or may replicate or pass by row security, which only a superuser can "
            f"change: ALTER ROLE {user.name} NOSUPERUSER NOREPLICATION NOBYPASSRLS. Nothing was changed."
        )
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN INHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT {}").format(
            name, user.connection_limit
        )
    )
    default = sql.SQL("SET default_transaction_read_only = on" if user.read_only else "RESET ALL")
    if user.managed:
        connection.execute(sql.SQL("ALTER ROLE {} {}").format(name, default))


def _set_password(connection: psycopg.Connection[Any], user: DatabaseUser, password: SecretStr | None) -> None:
    verifier = None
    if password is not None:
        plain = password.get_secret_value().encode()
        verifier = connection.pgconn.encrypt_password(plain, user.name.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user.name), verifier))


def _set_roles(connection: psycopg.Connection[Any], user: DatabaseUser, roles: set[str]) -> None:
    """Make ``user`` a member of ``roles``; of no others, as far as they are ours to say."""
    member = sql.Identifier(user.name)
    present = _roles(connection, user)
    for role in sorted(roles - present):
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), member))
    unwanted = present - roles if user.managed else (present & {IAM_ROLE}) - roles
    for role in sorted(unwanted):
        connection.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), member))
        if role in _roles(connection, user):  # since PostgreSQL 16 a REVOKE of what another role granted does nothing
            raise UsersUnchanged(
                f"User {user.name} is a member of {role}, which another role granted and only that can take back: "
                f"REVOKE {role} FROM {user.name}. Nothing was changed."
            )
        _log.warning("user %s was a member of %s, and is no longer", user.name, role)


def _roles(connection: psycopg.Connection[Any], user: DatabaseUser) -> set[str]:
    found = connection.execute(
        "SELECT granted.rolname FROM pg_auth_members AS membership"
        " JOIN pg_roles AS granted ON granted.oid = membership.roleid"
        " WHERE membership.member = (SELECT oid FROM pg_roles WHERE rolname = %s)",
        [user.name],
    )
    return {name for (name,) in found}
