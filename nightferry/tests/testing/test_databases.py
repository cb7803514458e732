"""Test that a database from the pool is always a fresh copy of its template."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from nightferry.local.services.postgres import Postgres
from nightferry.testing.databases import DatabasePool

pytestmark = pytest.mark.sampled(8)

TEMPLATE = """
CREATE TABLE kind (id int PRIMARY KEY, name text);
INSERT INTO kind VALUES (1, 'one'), (2, 'two');
CREATE TABLE orders (id bigserial PRIMARY KEY, kind int NOT NULL REFERENCES kind, parent bigint REFERENCES orders);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'orders stay'; END $$;
CREATE TRIGGER stay BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION refuse();
"""
ROWS = "INSERT INTO orders (kind, parent) SELECT 1, NULL FROM generate_series(1, 5)"


@pytest.fixture(scope="module")
def pool(postgres_server: Postgres) -> Iterator[DatabasePool]:
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE pool_template TEMPLATE template0 ENCODING 'UTF8'")
    with psycopg.connect(postgres_server.conninfo("pool_template")) as connection:
        connection.execute(TEMPLATE)
    return DatabasePool(postgres_server, "pool_template")


def change(pool: DatabasePool, statement: str) -> tuple[str, str]:
    """Execute a statement in a lent database; return the names of this database and of the next one."""
    with pool.lend() as first, psycopg.connect(first, autocommit=True) as connection:
        for part in statement.split(";;"):
            connection.execute(part.encode())
        name = connection.info.dbname
    with pool.lend() as second, psycopg.connect(second) as connection:
        assert connection.execute("SELECT id, name FROM kind ORDER BY id").fetchall() == [(1, "one"), (2, "two")]
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
        assert connection.execute("INSERT INTO orders (kind) VALUES (1) RETURNING id").fetchone() == (1,)
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (2,)
        return name, connection.info.dbname


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        ROWS,
        f"{ROWS};;UPDATE orders SET parent = 1",
        "CREATE TEMPORARY TABLE scratch (id int);;INSERT INTO scratch VALUES (1)",
        f"{ROWS};;ANALYZE;;VACUUM",
        "SELECT setval('orders_id_seq', 900)",
    ],
)
def test_changed_rows_are_removed(pool: DatabasePool, statement: str) -> None:
    first, second = change(pool, statement)
    assert first == second


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kind SET name = 'uno' WHERE id = 1",
        "DELETE FROM kind WHERE id = 2",
        "INSERT INTO kind VALUES (3, 'three')",
        "CREATE TABLE more (id int)",
        "DROP TABLE orders",
        "CREATE INDEX ON orders (kind)",
        "ALTER TABLE orders ADD COLUMN note text",
        "ALTER TABLE orders ALTER COLUMN kind DROP NOT NULL",
        "ALTER TABLE orders ALTER COLUMN kind SET DEFAULT 2",
        "ALTER TABLE orders DISABLE TRIGGER stay",
        "ALTER TABLE orders DROP CONSTRAINT orders_parent_fkey",
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
        "COMMENT ON TABLE orders IS 'orders'",
        "GRANT SELECT ON orders TO PUBLIC",
        "CREATE SCHEMA other",
        "DROP EXTENSION plpgsql CASCADE",
        "INSERT INTO orders (kind) SELECT 1 FROM generate_series(1, 3000)",
        "ALTER SEQUENCE orders_id_seq START 50",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 1024', current_database()); END $$",
        "DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$",
    ],
)
def test_a_database_with_any_other_change_is_replaced(pool: DatabasePool, statement: str) -> None:
    first, second = change(pool, statement)
    assert first != second


def test_sessions_that_a_test_left_open_are_ended(pool: DatabasePool) -> None:
    with pool.lend() as first:
        left = psycopg.connect(first)
        left.execute(ROWS)
    with pool.lend() as second, psycopg.connect(second) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()
