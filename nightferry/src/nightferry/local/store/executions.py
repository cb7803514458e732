"""The store's tables of executions and their histories."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nightferry.backend.executions import ExecutionSummary, WorkflowExecution
from nightferry.errors import NightferryError
from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, now, parse_optional_time, parse_time
from nightferry.states.machine.history import HistoryEvent


class HistoryDamaged(NightferryError):
    """An event in an execution's history cannot be read. ``readable`` has the events before it."""

    def __init__(self, message: str, readable: list[HistoryEvent]) -> None:
        super().__init__(message)
        self.readable = readable


@dataclass(frozen=True)
class WaitingHead:
    """The first execution of its workflow that has not begun. Another execution waits for an ``awaited`` one."""

    id: str
    workflow: str
    awaited: bool


# SQLite has no statistics of this table, and would take an index that includes the executions that have begun.
_WAITING = "execution INDEXED BY execution_waiting WHERE status = 'RUNNING' AND begun = 0"


class Executions(StoreFile):
    """Access to the tables of executions and events."""

    def add_execution(
        self,
        id: str,
        workflow: str,
        definition: dict[str, Any],
        input: Any,
        *,
        started_by: str = "",
        token: str | None = None,
    ) -> None:
        """Record an execution as open."""
        self._db.execute(
            "INSERT INTO execution (id, workflow, definition, input, status, started_at, started_by, token)"
            " VALUES (?, ?, ?, ?, 'RUNNING', ?, ?, ?)",
            (id, workflow, json.dumps(definition), json.dumps(input), format_time(now()), started_by, token),
        )

    def execution(self, id: str) -> WorkflowExecution | None:
        """Return an execution by its ID, or None."""
        row = self._db.execute("SELECT * FROM execution WHERE id = ?", (id,)).fetchone()
        return None if row is None else _parse_execution(row)

    def execution_by_token(self, token: str) -> WorkflowExecution | None:
        """Return the execution that a start request or state with this token created, or None."""
        row = self._db.execute("SELECT * FROM execution WHERE token = ?", (token,)).fetchone()
        return None if row is None else _parse_execution(row)

    def open_children(self, parent: str) -> dict[str, WorkflowExecution]:
        """Return the open executions that an execution started and waited for, by token."""
        rows = self._db.execute(
            "SELECT * FROM execution WHERE status = 'RUNNING' AND started_by = ?", (f"child:{parent}",)
        )
        return {row["token"]: _parse_execution(row) for row in rows}

    def open_orphans(self) -> list[WorkflowExecution]:
        """Return the open executions whose waiting parent has ended."""
        rows = self._db.execute(
            "SELECT * FROM execution AS child WHERE status = 'RUNNING' AND started_by LIKE 'child:%' AND NOT EXISTS"
            " (SELECT 1 FROM execution WHERE id = substr(child.started_by, 7) AND status = 'RUNNING')"
        )
        return [_parse_execution(row) for row in rows]

    def definition(self, id: str) -> dict[str, Any]:
        """Return the definition with which an execution started."""
        row = self._db.execute("SELECT definition FROM execution WHERE id = ?", (id,)).fetchone()
        definition: dict[str, Any] = json.loads(row["definition"])
        return definition

    def open_execution_ids(self, workflow: str) -> list[str]:
        """Return the IDs of a workflow's open executions, oldest first."""
        rows = self._db.execute(
            "SELECT id FROM execution WHERE status = 'RUNNING' AND workflow = ? ORDER BY rowid", (workflow,)
        )
        return [row["id"] for row in rows]

    def waiting_heads(self) -> list[WaitingHead]:
        """Return the first execution of each workflow that has not begun, separately awaited and not, in order.

        The query jumps from one workflow to the next in the index, however many executions wait.
        """
        rows = self._db.execute(
            f"WITH RECURSIVE waiting (workflow) AS (SELECT min(workflow) FROM {_WAITING} UNION ALL"
            f" SELECT (SELECT min(workflow) FROM {_WAITING} AND workflow > waiting.workflow)"
            " FROM waiting WHERE waiting.workflow IS NOT NULL),"
            " first (id) AS (SELECT (SELECT min(rowid)"
            f" FROM {_WAITING} AND workflow = waiting.workflow AND (substr(started_by, 1, 6) = 'child:') = awaited)"
            " FROM waiting, (SELECT 0 AS awaited UNION ALL SELECT 1) WHERE waiting.workflow IS NOT NULL)"
            " SELECT execution.id, workflow, substr(started_by, 1, 6) = 'child:' AS awaited"
            " FROM first JOIN execution ON execution.rowid = first.id ORDER BY execution.rowid"
        )
        return [WaitingHead(row["id"], row["workflow"], bool(row["awaited"])) for row in rows]

    def mark_execution_begun(self, id: str) -> None:
        """Record that the engine runs the execution."""
        with self.relaxed_durability():
            self._db.execute("UPDATE execution SET begun = 1 WHERE id = ?", (id,))

    def mark_executions_waiting(self) -> None:
        """Record that no engine runs the open executions."""
        self._db.execute("UPDATE execution SET begun = 0 WHERE status = 'RUNNING' AND begun = 1")

    def open_counts(self) -> dict[str, int]:
        """Return the number of open executions by workflow."""
        rows = self._db.execute(
            "SELECT workflow, count(*) AS n FROM execution WHERE status = 'RUNNING' GROUP BY workflow"
        )
        return {row["workflow"]: row["n"] for row in rows}

    def open_executions(self) -> list[WorkflowExecution]:
        """Return the open executions, oldest first."""
        rows = self._db.execute("SELECT * FROM execution WHERE status = 'RUNNING' ORDER BY started_at, rowid")
        return [_parse_execution(row) for row in rows]

    def add_events(self, id: str, first: int, events: Iterable[HistoryEvent]) -> None:
        """Append events to an execution's history, the first at index ``first``."""
        self._db.executemany(
            "INSERT INTO event (execution, sequence, event) VALUES (?, ?, ?)",
            ((id, n, json.dumps(event.to_json())) for n, event in enumerate(events, first)),
        )

    def events(self, id: str, after: int = 0) -> list[HistoryEvent]:
        """Return an execution's history after its first ``after`` events; raises HistoryDamaged."""
        history: list[HistoryEvent] = []
        try:
            history.extend(self.iterate_events(id, after))
        except HistoryDamaged as damage:
            raise HistoryDamaged(str(damage), history) from damage
        return history

    def iterate_events(self, id: str, after: int = 0) -> Iterator[HistoryEvent]:
        """Yield these events one by one, because a history can be large; raises HistoryDamaged."""
        rows = self._db.execute(
            "SELECT event FROM event WHERE execution = ? AND sequence >= ? ORDER BY sequence", (id, after)
        )
        return self._parse_events(id, rows, after)

    def events_at(self, id: str, positions: Iterable[int]) -> list[HistoryEvent]:
        """Return the events at these positions of an execution's history; raises HistoryDamaged."""
        rows = self._db.execute(
            "SELECT event FROM event WHERE execution = ? AND sequence IN (SELECT value FROM json_each(?))"
            " ORDER BY sequence",
            (id, json.dumps(list(positions))),
        )
        return list(self._parse_events(id, rows, 0))

    def _parse_events(self, id: str, rows: Iterable[sqlite3.Row], before: int) -> Iterator[HistoryEvent]:
        for number, row in enumerate(rows, before + 1):
            try:
                event = HistoryEvent.from_json(json.loads(row["event"]))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                problem = f"Cannot read event {number} of execution {id} in {self.file} ({error!r})."
                raise HistoryDamaged(problem, []) from error
            yield event

    def mark_execution_reopened(self, id: str) -> None:
        """Record that an ended execution is open again."""
        self._db.execute(
            "UPDATE execution SET status = 'RUNNING', begun = 0, output = NULL, error = NULL, cause = NULL,"
            " stopped_at = NULL, stop_requested = NULL WHERE id = ? AND status <> 'RUNNING'",
            (id,),
        )

    def mark_execution_ended(self, id: str, status: str, output: Any, error: str | None, cause: str | None) -> None:
        """Record the end of an execution. Unless it succeeded, its failure notice is due."""
        self._db.execute(
            "UPDATE execution SET status = ?, output = ?, error = ?, cause = ?, stopped_at = ?, notice_due = ?"
            " WHERE id = ? AND status = 'RUNNING'",
            (status, json.dumps(output), error, cause, format_time(now()), status != "SUCCEEDED", id),
        )

    def executions_with_notice_due(self) -> list[WorkflowExecution]:
        """Return the executions whose failure notice is due."""
        return [_parse_execution(row) for row in self._db.execute("SELECT * FROM execution WHERE notice_due = 1")]

    def mark_notice_added(self, id: str) -> None:
        """Record that an execution's failure notice is no longer due."""
        self._db.execute("UPDATE execution SET notice_due = 0 WHERE id = ?", (id,))


def parse_summary(row: sqlite3.Row) -> ExecutionSummary:
    """Return the execution of a row without its data."""
    return ExecutionSummary(
        id=row["id"],
        workflow=row["workflow"],
        status=row["status"],
        started_at=parse_time(row["started_at"]),
        stopped_at=parse_optional_time(row["stopped_at"]),
        error=row["error"],
        cause=row["cause"],
        started_by=row["started_by"] or None,
    )


def _parse_execution(row: sqlite3.Row) -> WorkflowExecution:
    return WorkflowExecution(
        id=row["id"],
        workflow=row["workflow"],
        status=row["status"],
        started_at=parse_time(row["started_at"]),
        stopped_at=parse_optional_time(row["stopped_at"]),
        input=json.loads(row["input"]),
        output=None if row["output"] is None else json.loads(row["output"]),
        error=row["error"],
        cause=row["cause"],
        started_by=row["started_by"] or None,
    )
