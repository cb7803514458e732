"""The store's tables of starts by schedules and triggers, and of schedules."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nightferry.backend.starts import ScheduleProgress, StartOutcome
from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, parse_time


@dataclass(frozen=True)
class StartRecord:
    """The result of one start request.

    ``source`` is ``schedule:NAME`` or ``trigger:NAME``. ``due_at`` is the time at which the start was due. ``id`` is
    the run or execution that was started or was already open. ``note`` is an optional explanation.
    """

    token: str
    source: str
    kind: Literal["task", "workflow"]
    target: str
    due_at: datetime
    decided_at: datetime
    outcome: StartOutcome
    id: str | None = None
    note: str | None = None


class Starts(StoreFile):
    """Access to the table of starts. It has one record per token, added when the start is decided."""

    def add_start(self, start: StartRecord) -> None:
        """Record the result of a start request; raises sqlite3.IntegrityError if its token has a record."""
        self._db.execute(
            "INSERT INTO start (token, source, kind, target, due_at, decided_at, outcome, id, note)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (start.token, start.source, start.kind, start.target,
             format_time(start.due_at), format_time(start.decided_at), start.outcome, start.id, start.note),
        )  # fmt: skip

    def forget_start(self, token: str) -> None:
        """Delete the record of a start request."""
        self._db.execute("DELETE FROM start WHERE token = ?", (token,))

    def start(self, token: str) -> StartRecord | None:
        """Return the result of the start request with this token; None if it is not decided yet."""
        row = self._db.execute("SELECT * FROM start WHERE token = ?", (token,)).fetchone()
        return None if row is None else _parse_start(row)


@dataclass(frozen=True)
class ScheduleRecord:
    """The progress of a schedule's processing.

    ``definition`` is the declaration that the engine saw for the first time at ``first_seen``, which is the origin of a
    rate. Every fire up to ``decided_until`` has been decided.
    """

    name: str
    definition: str
    enabled: bool
    first_seen: datetime
    decided_until: datetime


class Schedules(StoreFile):
    """Access to the table of schedules."""

    def schedules(self) -> dict[str, ScheduleRecord]:
        """Return all schedules by name."""
        rows = self._db.execute("SELECT * FROM schedule")
        return {
            row["name"]: ScheduleRecord(
                row["name"],
                row["definition"],
                bool(row["enabled"]),
                parse_time(row["first_seen"]),
                parse_time(row["decided_until"]),
            )
            for row in rows
        }

    def schedule_progress(self) -> dict[str, ScheduleProgress]:
        """Return the progress of each schedule that an engine has loaded, by name."""
        return {
            name: ScheduleProgress(record.enabled, record.first_seen, record.decided_until)
            for name, record in self.schedules().items()
        }

    def save_schedule(self, record: ScheduleRecord) -> None:
        """Record a schedule's progress."""
        self._db.execute(
            "INSERT OR REPLACE INTO schedule (name, definition, enabled, first_seen, decided_until)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                record.name,
                record.definition,
                int(record.enabled),
                format_time(record.first_seen),
                format_time(record.decided_until),
            ),
        )


def _parse_start(row: sqlite3.Row) -> StartRecord:
    return StartRecord(
        token=row["token"],
        source=row["source"],
        kind=row["kind"],
        target=row["target"],
        due_at=parse_time(row["due_at"]),
        decided_at=parse_time(row["decided_at"]),
        outcome=row["outcome"],
        id=row["id"],
        note=row["note"],
    )
