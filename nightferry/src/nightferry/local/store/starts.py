"""What started by itself, by a schedule or an object, and what did not."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, parse_time

Outcome = Literal["started", "skipped", "missed"]
"""A run or execution began; one was open and the workflow's overlap is ``skip``; its time went by unattended."""


@dataclass(frozen=True)
class StartRecord:
    """One occasion to start something, and what came of it.

    ``source`` is ``schedule:NAME`` or ``trigger:NAME``; ``due_at`` when it was to be; ``id`` the run or execution that
    began, or that was open; ``note`` a sentence for people where there is something to say.
    """

    token: str
    source: str
    kind: Literal["task", "workflow"]
    target: str
    due_at: datetime
    decided_at: datetime
    outcome: Outcome
    id: str | None = None
    note: str | None = None


class Starts(StoreFile):
    """The table of starts: an occasion is in it once, by its token, from the moment that it was decided upon."""

    def add_start(self, start: StartRecord) -> None:
        """Write down what came of an occasion; raises sqlite3.IntegrityError where that stands already."""
        self._db.execute(
            "INSERT INTO start (token, source, kind, target, due_at, decided_at, outcome, id, note)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (start.token, start.source, start.kind, start.target,
             format_time(start.due_at), format_time(start.decided_at), start.outcome, start.id, start.note),
        )  # fmt: skip

    def start(self, token: str) -> StartRecord | None:
        """What came of an occasion; None while nobody has decided upon it."""
        row = self._db.execute("SELECT * FROM start WHERE token = ?", (token,)).fetchone()
        return None if row is None else _start(row)

    def starts(
        self, source: str | None = None, *, outcome: Outcome | None = None, limit: int = 20
    ) -> list[StartRecord]:
        """What started by itself or did not, the latest decision first."""
        rows = self._db.execute(
            "SELECT * FROM start WHERE (?1 IS NULL OR source = ?1) AND (?2 IS NULL OR outcome = ?2)"
            " ORDER BY decided_at DESC, due_at DESC LIMIT ?3",
            (source, outcome, limit),
        )
        return [_start(row) for row in rows]


@dataclass(frozen=True)
class ScheduleRecord:
    """How far a schedule has been looked at.

    ``definition`` is what was declared when the engine ``first_saw`` it, from where a rate is counted; every fire up to
    ``decided_until`` has been decided upon.
    """

    name: str
    definition: str
    enabled: bool
    first_seen: datetime
    decided_until: datetime


class Schedules(StoreFile):
    """The table of schedules that the engine has seen."""

    def schedules(self) -> dict[str, ScheduleRecord]:
        """All of them, by name."""
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

    def save_schedule(self, record: ScheduleRecord) -> None:
        """Write down how far a schedule has been looked at."""
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


def _start(row: sqlite3.Row) -> StartRecord:
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
