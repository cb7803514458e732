"""Fixtures for a migrated database per test, on the server of ``nightferry.testing.fixtures``."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from nightferry.contract import Privacy
from nightferry.job.redaction import redactor
from nightferry.local.services.postgres import Postgres
from nightferry.testing.databases import DatabasePool
from nightferry.testing.tiers import LONG, examples
from paidleave.db import migrate
from tests.etl.demo import FirstDemoRun

pytest_plugins = [
    "nightferry.testing.collecting",
    "nightferry.testing.fixtures",
    "nightferry.testing.sampling",
    "nightferry.testing.fuzzing.printed",
]

# No deadline and no speed check, so that a busy machine causes no failures. Without TEST_SEED the examples are fixed.
settings.register_profile(
    "tier",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not LONG,
    max_examples=examples(100),
    print_blob=LONG,
)
settings.load_profile("tier")


@pytest.fixture(scope="session", autouse=True)
def _strict() -> None:
    """Redact texts as the jobs do, also in tests that call their functions without a job's process."""
    redactor.privacy = Privacy.STRICT


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> str:
    """Return the name of a database with all migrations and lookups, which other databases are copied from."""
    name = "migrated_template"
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")
    migrate.upgrade(partial(psycopg.connect, postgres_server.conninfo(name)))
    return name


@pytest.fixture(scope="session")
def databases(postgres_server: Postgres, migrated_template: str) -> DatabasePool:
    return DatabasePool(postgres_server, migrated_template)


@pytest.fixture
def database(databases: DatabasePool) -> Iterator[str]:
    """Return the connection string of a new database with all migrations and lookups."""
    with databases.lend() as conninfo:
        yield conninfo


@pytest.fixture(scope="session")
def first_demo_run(tmp_path_factory: pytest.TempPathFactory) -> FirstDemoRun:
    """Return the first run of the demo, which the first worker that requires it executes for all."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "first run"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return FirstDemoRun.make_once(folder)
