"""The definitions in ``paidleave.db.schema`` match a migrated database."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from paidleave.db import migrate, schema

TRIGRAM = {index.name for index in schema.TRIGRAM_INDEXES}


def differences(database: str) -> list[Any]:
    """Return the changes that Alembic would make to match the definitions, without trigram indexes."""

    def counts(_: object, name: str | None, kind: str, *__: object) -> bool:
        return not (kind == "index" and name in TRIGRAM) and name != migrate.VERSION_TABLE

    engine = create_engine("postgresql+psycopg://", creator=partial(psycopg.connect, database), poolclass=NullPool)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_object": counts}
        context = MigrationContext.configure(connection, opts=options | {"version_table": migrate.VERSION_TABLE})
        return compare_metadata(context, schema.metadata)


def test_definitions_match_the_migrated_database(database: str) -> None:
    assert differences(database) == []


def test_comparison_detects_a_difference(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE employer ALTER employer_dba SET NOT NULL")
        connection.execute("DROP INDEX ix_employee_phone_number")
    kinds = {
        difference[0] if isinstance(difference, tuple) else difference[0][0] for difference in differences(database)
    }
    assert kinds == {"modify_nullable", "add_index"}


def test_key_names_match(database: str) -> None:
    """Alembic does not compare the names of primary keys or the actions of foreign keys."""
    defined = {
        (table.name, str(constraint.name))
        for table in schema.metadata.tables.values()
        for constraint in [table.primary_key, *table.foreign_key_constraints]
    }
    with psycopg.connect(database) as connection:
        stored = connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype IN ('p', 'f') AND conrelid <> 0"
            " AND connamespace = 'public'::regnamespace AND conrelid <> %s::regclass",
            [migrate.VERSION_TABLE],
        ).fetchall()
        cascades = connection.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'c'"
        ).fetchall()
    assert set(stored) == defined
    assert cascades == [("import_log_report_queue",)]


def test_every_foreign_key_has_an_index_except_those_to_lookups() -> None:
    for table in schema.metadata.tables.values():
        first_columns = {next(iter(index.columns)).name for index in table.indexes}
        first_columns |= {next(iter(key.columns)).name for key in table.constraints if len(list(key.columns))}  # type: ignore[attr-defined]  # All constraints have columns.
        for key in table.foreign_keys:
            assert key.column.table.name.startswith("lk_") or key.parent.name in first_columns
