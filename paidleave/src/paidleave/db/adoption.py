"""Finding the revision of a database whose version table was lost, for example after a restore of some tables.

Each revision is applied to empty tables in a temporary schema, whose tables and columns are then compared with those of
the database. The transaction is rolled back, so that the database remains unchanged.

The tables of the API may have other columns and keys than those that revision 0001 creates. Therefore only what later
revisions change is compared, and the temporary schema treats a table as the API's if it is the API's in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

_SCHEMA = "nightferry_adoption"
_MAX_LISTED = 20

# The comment that identifies the tables of revision 0001 has had two texts, see revision 0010.
_CREATED_HERE = "Created by %, which found no such table of the API"

_COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, coalesce(pg_get_expr(adbin, adrelid), '')
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
"""
_INDEXES = """
    SELECT table_class.relname, index_class.relname, indisunique, ARRAY(
        SELECT pg_get_indexdef(indexrelid, place, true) FROM generate_series(1, indnkeyatts) AS place
    )::text
    FROM pg_index
    JOIN pg_class AS table_class ON table_class.oid = indrelid
    JOIN pg_class AS index_class ON index_class.oid = indexrelid
    WHERE table_class.relnamespace = CAST(:schema AS regnamespace)
"""
_TABLES_OF_THE_API = """
    SELECT relname FROM pg_class
    WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind IN ('r', 'p')
      AND coalesce(obj_description(oid, 'pg_class'), '') NOT LIKE :comment
"""

Column = tuple[str, str, str, bool, str]
"""The table, the name, the type, whether it is NOT NULL, and the default."""
Index = tuple[str, str, bool, str]
"""The table, the name, whether it is unique, and the columns."""


@dataclass(frozen=True)
class Schema:
    """The columns and the indexes of a schema."""

    columns: frozenset[Column]
    indexes: frozenset[Index]

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables."""
        return frozenset(column[0] for column in self.columns)


@dataclass(frozen=True)
class Comparison:
    """A revision and the differences of the database from it."""

    revision: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def differences(self) -> int:
        """The number of differences."""
        return len(self.missing) + len(self.unexpected)

    def __str__(self) -> str:
        parts = [(name, words) for name, words in (("missing", self.missing), ("unexpected", self.unexpected)) if words]
        return "; ".join(f"{name}: {_format_list(words)}" for name, words in parts)


def compare_with_revisions(
    connection: Connection, version_table: str, revisions: Sequence[str], upgrade: Callable[[str], object]
) -> tuple[str | None, Comparison]:
    """Return the revision that the database has, if any, and the comparison with the most similar one.

    Args:
        connection: A connection in no transaction.
        version_table: The name of the version table, which is not compared.
        revisions: All revisions, oldest first.
        upgrade: Applies a revision with this connection and does not commit.
    """
    with connection.begin() as transaction:
        found = _read(connection, "current_schema", version_table)
        expected = _build(connection, version_table, revisions, upgrade)
        transaction.rollback()
    base = expected[revisions[0]]
    comparisons = [_compare(found, base, expected, revision) for revision in revisions]
    fitting = [comparison.revision for comparison in comparisons if not comparison.differences]
    closest = min(reversed(comparisons), key=lambda comparison: comparison.differences)
    return _select(fitting, expected, found), closest


def _build(
    connection: Connection, version_table: str, revisions: Sequence[str], upgrade: Callable[[str], object]
) -> dict[str, Schema]:
    """Return the schema that each revision makes, in the caller's transaction."""
    of_api = set(
        connection.execute(
            text(_TABLES_OF_THE_API), {"schema": _get_schema(connection), "comment": _CREATED_HERE}
        ).scalars()
    )
    connection.execute(text(f"CREATE SCHEMA {_SCHEMA}"))
    connection.execute(text(f"SET LOCAL search_path = {_SCHEMA}"))
    log = logging.getLogger("paidleave.db.migrations")
    expected = {}
    log.disabled = True  # The revisions would log that they create tables.
    try:
        for revision in revisions:
            upgrade(revision)
            expected[revision] = _read(connection, _SCHEMA, version_table)
            if revision == revisions[0]:
                for table in of_api & expected[revision].tables:
                    connection.execute(text(f'COMMENT ON TABLE "{table}" IS NULL'))
    finally:
        log.disabled = False
    return expected


def _get_schema(connection: Connection) -> str:
    return str(connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one())


def _read(connection: Connection, schema: str, version_table: str) -> Schema:
    name = {"schema": _get_schema(connection) if schema == "current_schema" else schema}
    columns = (tuple(row) for row in connection.execute(text(_COLUMNS), name))
    indexes = (tuple(row) for row in connection.execute(text(_INDEXES), name))
    return Schema(
        frozenset(column for column in columns if column[0] != version_table),
        frozenset(index for index in indexes if index[0] != version_table),
    )


def _compare(found: Schema, base: Schema, expected: dict[str, Schema], revision: str) -> Comparison:
    """Compare what the revisions after the first one change."""
    wanted = expected[revision].columns
    of_other_revisions = frozenset[Column]().union(*(schema.columns for schema in expected.values())) - wanted
    missing = [_format(column) for column in (wanted - base.columns) - found.columns]
    missing += [f"table {table}" for table in expected[revision].tables - found.tables]
    unexpected = [_format(column) for column in of_other_revisions & found.columns]
    return Comparison(revision, tuple(sorted(missing)), tuple(sorted(unexpected)))


def _select(fitting: Sequence[str], expected: dict[str, Schema], found: Schema) -> str | None:
    """Return the newest fitting revision whose indexes exist, as far as they differ between these revisions."""
    if not fitting:
        return None
    common = frozenset.intersection(*(expected[revision].indexes for revision in fitting))
    matching = [revision for revision in fitting if expected[revision].indexes - common <= found.indexes]
    return (matching or fitting[:1])[-1]


def _format(column: Column) -> str:
    table, name, type_, required, default = column
    return f"{table}.{name} {type_}{' NOT NULL' if required else ''}{f' DEFAULT {default}' if default else ''}"


def _format_list(words: Iterable[str]) -> str:
    listed = list(words)
    more = f" and {len(listed) - _MAX_LISTED} more" if len(listed) > _MAX_LISTED else ""
    return ", ".join(listed[:_MAX_LISTED]) + more
