"""A database with all migrations per test; a server comes from ``nightferry.testing.fixtures``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from nightferry.local.services.postgres import Postgres
from nightferry.testing.databases import new_database
from nightferry.testing.tiers import LONG, examples
from paidleave.db import migrate

pytest_plugins = ["nightferry.testing.fixtures"]

# No deadline and no health check of speed: a busy machine is not a failure. Fixed examples without SEED.
settings.register_profile(
    "tier",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not LONG,
    max_examples=examples(100),
    print_blob=LONG,
)
settings.load_profile("tier")


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> str:
    """Return the name of a database with all migrations and lookups, without connections: new ones are its copies."""
    name = "migrated_template"
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")
    migrate.upgrade(partial(psycopg.connect, postgres_server.conninfo(name)))
    return name


@pytest.fixture
def database(postgres_server: Postgres, migrated_template: str) -> Iterator[str]:
    """Return the connection string of a new database with all migrations and lookups."""
    with new_database(postgres_server, migrated_template) as conninfo:
        yield conninfo
