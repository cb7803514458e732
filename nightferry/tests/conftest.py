"""Fixtures that all tests share: one real PostgreSQL per test session, one fresh database per test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from nightferry.local.services.postgres import Postgres
from nightferry.testing.tiers import LONG, examples

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

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server that lives as long as the test session (one per worker)."""
    directory = Path(tempfile.mkdtemp(prefix="nightferry-test-"))
    directory.chmod(0o711)
    server = Postgres(directory / "pg", settings={"fsync": "off", "max_connections": "200"})
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def empty_database(postgres_server: Postgres) -> Iterator[str]:
    """The connection string of a new, empty database."""
    yield from _database(postgres_server, template="template0")


def _database(server: Postgres, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" ENCODING \'UTF8\'')
    try:
        yield server.conninfo(name)
    finally:
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
