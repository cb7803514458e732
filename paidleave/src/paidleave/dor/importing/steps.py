"""The steps of an import: SQL files, run one after the other inside one transaction."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from nightferry.errors import NightferryError
from paidleave.dor.importing.staging import Staging


class ReferenceVanished(NightferryError):
    """A row that the import refers to was deleted while it ran. Nothing was imported; run it again."""


_FETCHED = 5_000

_SQL = resources.files("paidleave.dor") / "sql"


class Steps:
    """Runs SQL files of the folder ``sql`` in the transaction of ``connection``.

    Every file may use ``%(import_log_id)s`` and ``%(uuid_prefix)s``, 24 hexadecimal digits that are new for every
    statement. With eight digits of a row's number they make a UUID: ``(prefix || to_hex(268435456 + n))::uuid``,
    where 268435456 (hexadecimal 10000000) keeps the number eight digits long for up to four thousand million rows.
    """

    def __init__(self, connection: psycopg.Connection[Any], import_log_id: int, *, references_as_set: bool) -> None:
        # Values are put into the statement by the client: CREATE TABLE … AS takes no parameters from outside.
        self._cursor = psycopg.ClientCursor(connection, row_factory=dict_row)
        self._connection = connection
        self._import_log_id = import_log_id
        self._references_as_set = references_as_set

    def run(self, step: str, **values: object) -> int:
        """Run ``step`` (a path below ``sql``, without its suffix) and return the number of rows that it touched."""
        self._execute(step, values)
        return max(self._cursor.rowcount, 0)

    def counts(self, step: str) -> dict[str, int]:
        """Run ``step`` and return the one row of counts that it selects."""
        self._execute(step, {})
        return dict(self._cursor.fetchone() or {})

    def rows(self, step: str) -> Iterator[tuple[Any, ...]]:
        """The rows that ``step`` selects, fetched some thousand at a time; it takes no values."""
        with self._connection.cursor("rows") as cursor:
            cursor.itersize = _FETCHED
            yield from cursor.execute(_text(f"{step}.sql"))

    def copy(self, table: str, frame: pl.DataFrame) -> None:
        """Load ``frame`` into ``table``, whose columns are the frame's, in the same order."""
        with Staging(self._connection) as staging:
            staging.copy(table, frame)

    def hold(self, check: str) -> None:
        """Where foreign keys are checked as a set: run ``check``, which locks the rows that the next steps refer to.

        It counts those that are missing; raises ReferenceVanished when there is any.
        """
        if self._references_as_set and self.counts(check)["missing"]:
            raise ReferenceVanished(f"a row that the import refers to was deleted meanwhile ({check}). Run it again.")

    def analyze(self, table: str) -> None:
        """Tell the planner what a temporary table holds."""
        self._cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))

    def _execute(self, step: str, values: dict[str, object]) -> None:
        standard: dict[str, object] = {"import_log_id": self._import_log_id, "uuid_prefix": uuid_prefix()}
        self._cursor.execute(_text(f"{step}.sql"), standard | values)


def uuid_prefix() -> str:
    """The first 24 hexadecimal digits of time-ordered UUIDs (version 7 of RFC 9562): time, version, variant, chance.

    Keys that grow with time fill an index from one end instead of touching all of its pages.
    """
    milliseconds = time.time_ns() // 1_000_000
    chance = secrets.randbits(42)
    high, low = chance >> 30, chance & 0x3FFFFFFF
    return f"{milliseconds:012x}7{high:03x}{0x80000000 | low:08x}"


@cache
def _text(name: str) -> bytes:
    return (_SQL / name).read_bytes()
