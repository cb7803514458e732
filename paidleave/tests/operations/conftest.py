"""Fixtures for a database with the users that ``db-admin-create-db-users`` creates."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from nightferry.local.services.postgres import Postgres
from paidleave.db.users import APPLICATION_ROLE, USERS
from paidleave.operations.create_db_users import create_users

NAMES = (*(user.name for user in USERS), APPLICATION_ROLE)


@pytest.fixture
def no_users(database: str, postgres_server: Postgres) -> Iterator[str]:
    """Provide a migrated database, and drop the users that a test creates, because they belong to the whole server."""
    yield database
    revoke_all(database)
    with psycopg.connect(database, autocommit=True) as connection:
        for name in NAMES:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


@pytest.fixture
def users(no_users: str) -> str:
    """Provide a migrated database with its users, who need no password on the server's socket."""
    with psycopg.connect(no_users) as connection:
        create_users(connection, {}, needs_credentials=False)
    return no_users


def as_user(database: str, user: str) -> str:
    """Return the connection string for another user."""
    return psycopg.conninfo.make_conninfo(database, user=user)


def revoke_all(database: str) -> None:
    """Revoke all privileges of the users in this database, so that the users can be dropped."""
    with psycopg.connect(database, autocommit=True) as connection:
        found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(NAMES)]).fetchall()
        for (name,) in found:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
