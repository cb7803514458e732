"""The steps of an import: SQL files, run one after the other inside one transaction.

The files lie in ``paidleave/dor/sql``, one folder for each kind of file or of lines that several kinds share. They are
numbered across all folders: every kind of file runs its steps in the order of their numbers.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any, LiteralString

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from paidleave.db.foreign_keys import ForeignKeys
from paidleave.db.statements import Statements
from paidleave.dor.importing.staging import Staging

SQL = Statements("paidleave.dor")

_ROWS_PER_FETCH = 5_000


class Steps:
    """Runs SQL files of the folder ``sql`` in the transaction of ``connection``, whose foreign keys are ``keys``.

    Every file may use ``%(import_log_id)s`` and ``%(uuid_prefix)s``, 24 hexadecimal digits that are new for every
    statement. With eight digits of a row's number they make a UUID: ``(prefix || to_hex(268435456 + n))::uuid``,
    where 268435456 (hexadecimal 10000000) keeps the number eight digits long for up to four thousand million rows.
    """

    def __init__(self, connection: psycopg.Connection[Any], import_log_id: int, keys: ForeignKeys) -> None:
        # Values are put into the statement by the client: CREATE TABLE … AS takes no parameters from outside.
        self._cursor = psycopg.ClientCursor(connection, row_factory=dict_row)
        self._connection = connection
        self._import_log_id = import_log_id
        self._keys = keys

    def run(self, step: str, **values: object) -> int:
        """Run ``step`` (a path below ``sql``, without its suffix) and return the number of rows that it touched."""
        self._execute(step, values)
        return max(self._cursor.rowcount, 0)

    def select_counts(self, step: str) -> dict[str, int]:
        """Run ``step`` and return the one row of counts that it selects."""
        self._execute(step, {})
        return dict(self._cursor.fetchone() or {})

    def select_rows(self, step: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that ``step`` selects, fetched some thousand at a time; it takes no values."""
        with self._connection.cursor("rows") as cursor:
            cursor.itersize = _ROWS_PER_FETCH
            yield from cursor.execute(SQL.text(step))

    def copy(self, table: str, frame: pl.DataFrame) -> None:
        """Load ``frame`` into ``table``, whose columns are the frame's, in the same order."""
        with Staging(self._connection) as staging:
            staging.copy(table, frame)

    def lock_references(self, key: str, rows: LiteralString) -> None:
        """Lock the rows that the next steps refer to; see :class:`paidleave.db.foreign_keys.ForeignKeys`."""
        self._keys.lock_references(key, rows)

    def analyze(self, table: str) -> None:
        """Have the planner learn what a temporary table holds."""
        self._cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))

    def _execute(self, step: str, values: dict[str, object]) -> None:
        standard: dict[str, object] = {"import_log_id": self._import_log_id, "uuid_prefix": make_uuid_prefix()}
        SQL.run(self._cursor, step, **(standard | values))


def make_uuid_prefix() -> str:
    """The first 24 hexadecimal digits of time-ordered UUIDs (version 7 of RFC 9562): time, version, variant, chance.

    Keys that grow with time fill an index from one end instead of touching all of its pages.
    """
    milliseconds = time.time_ns() // 1_000_000
    chance = secrets.randbits(42)
    high, low = chance >> 30, chance & 0x3FFFFFFF
    return f"{milliseconds:012x}7{high:03x}{0x80000000 | low:08x}"
