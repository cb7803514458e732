"""The steps of an import: SQL files that run in one transaction.

The files are in ``paidleave/dor/sql``, with one folder for each kind of file, or for lines that several kinds share.
The numbers apply across folders: each kind of file runs its steps in the order of their numbers.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, LiteralString

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from paidleave.db.foreign_keys import ForeignKeys
from paidleave.db.statements import Statements
from paidleave.dor.importing.staging import Staging

SQL = Statements("paidleave.dor")

LATER_IMPORTS = "repeats/15_select_later_imports"
"""The step that creates the table ``later_import``, which a repeated import requires to retain newer values."""

_ROWS_PER_FETCH = 5_000


class Steps:
    """Runner of SQL files of the folder ``sql`` in the transaction of ``connection``, whose foreign keys are ``keys``.

    Every file may use ``%(import_log_id)s``, the values of :meth:`set_repeat`, and ``%(uuid_prefix)s``, 24 hexadecimal
    digits that are unique for each statement. The prefix and a row number with eight digits form a UUID:
    ``(prefix || to_hex(268435456 + n))::uuid``. The offset 268435456 (hexadecimal 10000000) makes the number eight
    digits long for up to four billion rows.
    """

    def __init__(self, connection: psycopg.Connection[Any], import_log_id: int, keys: ForeignKeys) -> None:
        # The client inserts the values into the statement because CREATE TABLE … AS does not accept parameters.
        self._cursor = psycopg.ClientCursor(connection, row_factory=dict_row)
        self._connection = connection
        self._keys = keys
        self._standard: dict[str, object] = {"import_log_id": import_log_id}
        self.set_repeat(kind="", digest="", file_time=None, is_repeat=False)

    def set_repeat(
        self, *, kind: str, digest: str, file_time: datetime | None, is_repeat: bool = True, is_replay: bool = False
    ) -> None:
        """Make the next steps retain the values that files later than ``file_time`` have written.

        ``is_repeat`` is False for the first import of a file, which overwrites all values. ``is_replay`` is True if
        only the rejected lines of the file with ``kind`` and ``digest`` are imported.
        """
        self._standard |= {
            **{"kind": kind, "digest": digest, "file_time": file_time},
            **{"is_repeat": is_repeat, "is_replay": is_replay},
        }

    def run(self, step: str, **values: object) -> int:
        """Run ``step`` (a path below ``sql``, without its suffix) and return the number of affected rows."""
        self._execute(step, values)
        return max(self._cursor.rowcount, 0)

    def select_counts(self, step: str) -> dict[str, int]:
        """Run ``step`` and return the row of counts that it selects."""
        self._execute(step, {})
        return dict(self._cursor.fetchone() or {})

    def select_rows(self, step: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that ``step`` selects without values, fetched some thousand at a time."""
        with self._connection.cursor("rows") as cursor:
            cursor.itersize = _ROWS_PER_FETCH
            yield from cursor.execute(SQL.text(step))

    def copy(self, table: str, frame: pl.DataFrame) -> None:
        """Load ``frame`` into ``table``; the columns and their order must match."""
        with Staging(self._connection) as staging:
            staging.copy(table, frame)

    def lock_references(self, key: str, rows: LiteralString) -> None:
        """Lock the rows that the next steps reference; see :class:`paidleave.db.foreign_keys.ForeignKeys`."""
        self._keys.lock_references(key, rows)

    def analyze(self, table: str) -> None:
        """Collect planner statistics of a temporary table."""
        self._cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))

    def _execute(self, step: str, values: dict[str, object]) -> None:
        SQL.run(self._cursor, step, **(self._standard | {"uuid_prefix": make_uuid_prefix()} | values))


def make_uuid_prefix() -> str:
    """Return the first 24 hexadecimal digits of time-ordered UUIDs (version 7 of RFC 9562).

    Time-ordered keys are inserted at the end of an index and do not touch all of its pages.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = secrets.randbits(42)
    high, low = random_bits >> 30, random_bits & 0x3FFFFFFF
    return f"{milliseconds:012x}7{high:03x}{0x80000000 | low:08x}"
