"""Queries of the store: pages and counts of starts, and pages of the objects known to a trigger."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from nightferry.backend.queries import Count, Cursor, Page
from nightferry.backend.starts import ALL_STARTS, SeenObject, Start, StartFilter
from nightferry.local.store.conditions import END_OF_TIME, Value, build_condition
from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import parse_optional_time, parse_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BACKFILL = "backfill:"
_COLUMNS = """start.rowid, start.*, CASE WHEN outcome = 'started' THEN coalesce(
    (SELECT outcome FROM run WHERE run.id = start.id), (SELECT outcome FROM execution WHERE execution.id = start.id)
) END AS result"""


class StartQueries(StoreFile):
    """Pages and counts of starts."""

    def starts(self, wanted: StartFilter = ALL_STARTS, *, before: Cursor | None = None, limit: int = 20) -> Page[Start]:
        """Return the next ``limit`` starts after the cursor ``before``, the last decision first."""
        where, values = _build_condition(wanted, before)
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM start WHERE {where} ORDER BY decided_at DESC, start.rowid DESC LIMIT ?",
            (*values, limit + 1),
        ).fetchall()
        found = rows[:limit]
        place = Cursor(parse_time(found[-1]["decided_at"]), str(found[-1]["rowid"])) if len(rows) > limit else None
        return Page(tuple(map(_parse_start, found)), place)

    def count_starts(self, wanted: StartFilter = ALL_STARTS, *, limit: int = 10_000) -> Count:
        """Return the number of starts, counted up to ``limit``."""
        where, values = _build_condition(wanted, None)
        rows = f"SELECT 1 FROM start WHERE {where} ORDER BY decided_at DESC, rowid DESC LIMIT ?"
        number: int = self._db.execute(f"SELECT count(*) FROM ({rows})", (*values, limit + 1)).fetchone()[0]
        return Count(min(number, limit), number <= limit)

    def seen_objects(self, trigger: str, *, before: Cursor | None = None, limit: int = 20) -> Page[SeenObject]:
        """Return the next ``limit`` objects known to a trigger, the last modified first.

        The ID of a cursor is the number of objects of its time that earlier pages have, because a key may be personal
        data and a cursor is a part of a URL.
        """
        time = END_OF_TIME if before is None else before.time
        skipped = 0 if before is None else before.number
        rows = self._db.execute(
            "SELECT * FROM known_object WHERE trigger = ? AND modified_us <= ?"
            " ORDER BY modified_us DESC, key DESC LIMIT ? OFFSET ?",
            (trigger, (time - _EPOCH) // _MICROSECOND, limit + 1, skipped),
        ).fetchall()
        found = rows[:limit]
        place = None
        if len(rows) > limit:
            last = _EPOCH + found[-1]["modified_us"] * _MICROSECOND
            same = sum(row["modified_us"] == found[-1]["modified_us"] for row in found)
            place = Cursor(last, str(same + (skipped if last == time else 0)))
        return Page(tuple(self._parse_object(trigger, row) for row in found), place)

    def _parse_object(self, trigger: str, row: sqlite3.Row) -> SeenObject:
        token = f"trigger:{trigger}:{row['key']}:{row['version']}"
        start = self._db.execute(f"SELECT {_COLUMNS} FROM start WHERE token = ?", (token,)).fetchone()
        return SeenObject(
            row["key"],
            row["size"],
            _EPOCH + row["modified_us"] * _MICROSECOND,
            row["version"] is None,
            parse_optional_time(row["gone_at"]),
            None if start is None else _parse_start(start),
        )


def _build_condition(wanted: StartFilter, before: Cursor | None) -> tuple[str, list[Value]]:
    equal = {"declaration": wanted.source, "outcome": wanted.outcome}
    return build_condition(equal, ("decided_at", "start.rowid"), wanted, before, attrgetter("number"))


def _parse_start(row: sqlite3.Row) -> Start:
    source, token = row["source"], row["token"]
    key = token.removeprefix(f"{source}:").rpartition(":")[0] if source.startswith("trigger:") else None
    return Start(
        source=f"schedule:{source.removeprefix(_BACKFILL)}" if source.startswith(_BACKFILL) else source,
        kind=row["kind"],
        target=row["target"],
        due_at=parse_time(row["due_at"]),
        decided_at=parse_time(row["decided_at"]),
        outcome=row["outcome"],
        id=row["id"],
        note=row["note"],
        object=key,
        by_backfill=source.startswith(_BACKFILL),
        result=row["result"],
    )
