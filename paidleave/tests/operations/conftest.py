"""A database with the users that ``db-admin-create-db-users`` makes, which go again with it."""

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
    """A migrated database; users that a test makes are dropped at its end, for they belong to the whole server."""
    yield database
    disown(database)
    with psycopg.connect(database, autocommit=True) as connection:
        for name in NAMES:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


@pytest.fixture
def users(no_users: str) -> str:
    """A migrated database with its users, who need no password on its socket."""
    with psycopg.connect(no_users) as connection:
        create_users(connection, {}, is_guarded=False)
    return no_users


def as_user(database: str, user: str) -> str:
    """The connection string for another user."""
    return psycopg.conninfo.make_conninfo(database, user=user)


def disown(database: str) -> None:
    """Take every right in this database from the users, so that they can be dropped."""
    with psycopg.connect(database, autocommit=True) as connection:
        found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(NAMES)]).fetchall()
        for (name,) in found:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
