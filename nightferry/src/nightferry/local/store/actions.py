"""The store's tables of what people did. Rows are only added; triggers refuse changes, and deletions but by pruning."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from nightferry.backend.actions import (
    ALL_ACTIONS,
    Action,
    ActionFilter,
    ActionResult,
    make_page,
)
from nightferry.backend.queries import Cursor, Page
from nightferry.local.store.conditions import build_condition
from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, parse_time

_BATCH_ROWS = 100
_COLUMNS = (
    "action.id, action.time, author, action.action, target, reason, via, action_result.time AS ended, failed, text, ids"
)


class Actions(StoreFile):
    """Access to the tables of actions and their results."""

    def add_action(self, action: Action) -> None:
        """Record a request."""
        with self.transaction():
            time = format_time(action.time)
            self._db.execute(
                "INSERT INTO action (id, time, author, action, target, reason, via) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (action.id, time, action.author, action.action, action.target, action.reason, action.via),
            )
            self._add_subjects(action.id, time, (action.target,))

    def add_action_result(self, result: ActionResult) -> None:
        """Record the result of a request."""
        with self.transaction():
            row = self._db.execute("SELECT time FROM action WHERE id = ?", (result.action,)).fetchone()
            self._db.execute(
                "INSERT INTO action_result (action, time, failed, text, ids) VALUES (?, ?, ?, ?, ?)",
                (result.action, format_time(result.time), result.failed, result.text, json.dumps(result.ids)),
            )
            self._add_subjects(result.action, row["time"], result.ids)

    def _add_subjects(self, action: str, time: str, subjects: tuple[str, ...]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO action_subject (subject, time, action) VALUES (?, ?, ?)",
            ((subject, time, action) for subject in subjects),
        )

    def actions(
        self, wanted: ActionFilter = ALL_ACTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Action]:
        """Return the next ``limit`` actions after the cursor ``before``, newest first."""
        by_subject = wanted.id is not None
        time, id = ("action_subject.time", "action_subject.action") if by_subject else ("action.time", "action.id")
        equal = {"author": wanted.author, "action.action": wanted.action, "subject": wanted.id}
        where, values = build_condition(equal, (time, id), wanted, before)
        # CROSS JOIN keeps the order of the tables, so that the subject is the condition that an index serves.
        source = "action_subject CROSS JOIN action ON action.id = action_subject.action" if by_subject else "action"
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM {source} LEFT JOIN action_result ON action_result.action = action.id"
            f" WHERE {where} ORDER BY {time} DESC, {id} DESC LIMIT ?",
            (*values, limit + 1),
        )
        return make_page([_parse(row) for row in rows], limit)

    def prune_actions(self, before: datetime) -> int:
        """Remove one batch of the oldest actions from before a time, and return their number."""
        time = format_time(before)
        with self.relaxed_durability(), self.transaction():
            rows = self._db.execute(
                "SELECT id FROM action WHERE time < ? ORDER BY time, id LIMIT ?", (time, _BATCH_ROWS)
            ).fetchall()
            if not rows:
                return 0
            ids = [(row["id"],) for row in rows]
            self._db.execute("INSERT INTO action_pruning (before) VALUES (?)", (time,))
            self._db.executemany("DELETE FROM action_subject WHERE action = ?", ids)
            self._db.executemany("DELETE FROM action_result WHERE action = ?", ids)
            self._db.executemany("DELETE FROM action WHERE id = ?", ids)
            self._db.execute("DELETE FROM action_pruning")
            return len(ids)


def _parse(row: sqlite3.Row) -> Action:
    result = None
    if row["ended"] is not None:
        ids = tuple(json.loads(row["ids"]))
        result = ActionResult(row["id"], parse_time(row["ended"]), bool(row["failed"]), row["text"], ids)
    return Action(
        id=row["id"],
        time=parse_time(row["time"]),
        author=row["author"],
        action=row["action"],
        target=row["target"],
        reason=row["reason"],
        via=row["via"],
        result=result,
    )
