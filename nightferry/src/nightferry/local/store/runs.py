"""The store's table of runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from nightferry.backend.engine_status import QueuedTask
from nightferry.backend.runs import TaskRun
from nightferry.contract import ATTEMPT_VARIABLE, IDENTIFYING_VARIABLES
from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, now, parse_optional_time, parse_time


@dataclass(frozen=True)
class RunRecord:
    """The record of a run. ``run`` is the part that the backend interface exposes."""

    run: TaskRun
    environment: dict[str, str]
    cpu: int | None
    memory: int | None
    token: str | None
    pid: int | None
    pid_created: float | None
    stop_requested: str | None


@dataclass(frozen=True)
class QueueHead:
    """The first run in the queue of its task. ``alone`` is True if the run does not belong to an execution."""

    id: str
    task: str
    alone: bool


_FIRST = "(SELECT rowid FROM run WHERE status = 'QUEUED' AND task = place.task AND (execution IS NULL) = place.alone"
_NO_ROW = 2**63 - 1


class Runs(StoreFile):
    """Access to the table of runs. Each statement that changes a status names the status before the change."""

    def add_run(
        self,
        id: str,
        task: str,
        args: Sequence[str],
        environment: dict[str, str],
        *,
        cpu: int | None = None,
        memory: int | None = None,
        started_by: str = "",
        execution: str | None = None,
        token: str | None = None,
        not_before: datetime | None = None,
    ) -> None:
        """Record a run as queued. It does not start before ``not_before``."""
        self._db.execute(
            "INSERT INTO run (id, task, status, command, environment, cpu, memory, started_by, execution, token,"
            " created_at, not_before) VALUES (?, ?, 'QUEUED', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (id, task, json.dumps(list(args)), json.dumps(environment), cpu, memory, started_by, execution, token,
             format_time(now()), None if not_before is None else format_time(not_before)),
        )  # fmt: skip

    def start_now(self, id: str) -> None:
        """Let a queued run start before its time."""
        self._db.execute("UPDATE run SET not_before = NULL WHERE id = ? AND status = 'QUEUED'", (id,))

    def mark_run_pending(self, id: str) -> None:
        """Record that the run's process is about to start."""
        self._db.execute("UPDATE run SET status = 'PENDING' WHERE id = ? AND status = 'QUEUED'", (id,))

    def mark_run_started(self, id: str, pid: int, pid_created: float) -> None:
        """Record the run's process."""
        with self.relaxed_durability():
            self._db.execute(
                "UPDATE run SET status = 'RUNNING', started_at = ?, pid = ?, pid_created = ?"
                " WHERE id = ? AND status = 'PENDING'",
                (format_time(now()), pid, pid_created, id),
            )

    def mark_run_stopped(self, id: str, exit_code: int | None, stop_code: str, reason: str) -> bool:
        """Record the end of the run. Return False if it was recorded before."""
        cursor = self._db.execute(
            "UPDATE run SET status = 'STOPPED', stopped_at = ?, exit_code = ?, stop_code = ?, reason = ?, pid = NULL"
            " WHERE id = ? AND status <> 'STOPPED'",
            (format_time(now()), exit_code, stop_code, reason, id),
        )
        return cursor.rowcount > 0

    def find_known_runs(self, ids: Iterable[str]) -> set[str]:
        """Return those of at most some hundred IDs that are IDs of runs."""
        listed = tuple(ids)
        marks = ", ".join("?" * len(listed))
        return {str(row["id"]) for row in self._db.execute(f"SELECT id FROM run WHERE id IN ({marks})", listed)}

    def run(self, id: str) -> RunRecord | None:
        """Return a run by its ID, or None."""
        row = self._db.execute("SELECT * FROM run WHERE id = ?", (id,)).fetchone()
        return None if row is None else parse_run(row)

    def run_by_token(self, token: str) -> RunRecord | None:
        """Return the run that a state or start request with this token created, or None."""
        row = self._db.execute("SELECT * FROM run WHERE token = ?", (token,)).fetchone()
        return None if row is None else parse_run(row)

    def open_runs(self) -> list[RunRecord]:
        """Return the runs that have not stopped, oldest first."""
        rows = self._db.execute("SELECT * FROM run WHERE status <> 'STOPPED' ORDER BY created_at, rowid")
        return [parse_run(row) for row in rows]

    def queue_heads(self) -> list[QueueHead]:
        """Return the first run of each task that may start, separately inside and outside executions, in order.

        Runs that must not start before a time follow in the order of these times. The query jumps from one task to the
        next in the index, however many runs are queued.
        """
        rows = self._db.execute(
            "WITH RECURSIVE queued (task) AS (SELECT min(task) FROM run WHERE status = 'QUEUED' UNION ALL"
            " SELECT (SELECT min(task) FROM run WHERE status = 'QUEUED' AND task > queued.task)"
            " FROM queued WHERE queued.task IS NOT NULL),"
            " place (task, alone) AS (SELECT task, alone FROM queued, (SELECT 0 AS alone UNION ALL SELECT 1)"
            " WHERE task IS NOT NULL),"
            " first (id) AS (SELECT min("
            f"coalesce({_FIRST} AND not_before IS NULL ORDER BY rowid LIMIT 1), ?2),"
            f" coalesce({_FIRST} AND not_before <= ?1 ORDER BY not_before, rowid LIMIT 1), ?2)) FROM place)"
            " SELECT run.id, run.task, run.execution IS NULL AS alone FROM first JOIN run ON run.rowid = first.id"
            " ORDER BY run.rowid",
            (format_time(now()), _NO_ROW),
        )
        return [QueueHead(row["id"], row["task"], bool(row["alone"])) for row in rows]

    def has_open_run(self, task: str) -> bool:
        """Return True if a run of the task has not stopped."""
        row = self._db.execute("SELECT 1 FROM run WHERE task = ? AND outcome = 'open' LIMIT 1", (task,)).fetchone()
        return row is not None

    def queue_depths(self) -> dict[str, int]:
        """Return the number of queued runs by task."""
        rows = self._db.execute("SELECT task, count(*) AS n FROM run WHERE status = 'QUEUED' GROUP BY task")
        return {row["task"]: row["n"] for row in rows}

    def queued_tasks(self) -> list[QueuedTask]:
        """Return the queued runs of each task, the longest queue first."""
        rows = self._db.execute(
            "SELECT task, count(*) AS number, min(created_at) AS oldest FROM run WHERE status = 'QUEUED'"
            " GROUP BY task ORDER BY number DESC, task"
        )
        return [QueuedTask(row["task"], row["number"], parse_time(row["oldest"])) for row in rows]

    def count_begun(self) -> int:
        """Return the number of runs that were started and have not stopped."""
        row = self._db.execute("SELECT count(*) FROM run WHERE status <> 'STOPPED' AND status <> 'QUEUED'").fetchone()
        return int(row[0])

    def begun_runs(self) -> list[RunRecord]:
        """Return the runs that were started and have not stopped, oldest first."""
        rows = self._db.execute("SELECT * FROM run WHERE status <> 'STOPPED' AND status <> 'QUEUED' ORDER BY rowid")
        return [parse_run(row) for row in rows]

    def open_runs_in(self, execution: str) -> list[RunRecord]:
        """Return an execution's runs that have not stopped, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM run WHERE execution = ? AND status <> 'STOPPED' ORDER BY rowid", (execution,)
        )
        return [parse_run(row) for row in rows]

    def abandoned_runs(self) -> list[str]:
        """Return the IDs of queued runs whose execution has ended."""
        rows = self._db.execute(
            "SELECT run.id FROM run JOIN execution ON execution.id = run.execution"
            " WHERE run.status = 'QUEUED' AND execution.status <> 'RUNNING'"
        )
        return [row["id"] for row in rows]

    def has_open_work(self) -> bool:
        """Return True if any run or execution is open."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM run WHERE status <> 'STOPPED')"
            " OR EXISTS (SELECT 1 FROM execution WHERE status = 'RUNNING')"
        ).fetchone()
        return bool(row[0])


def parse_run(row: sqlite3.Row) -> RunRecord:
    """Return the record of a row."""
    environment = json.loads(row["environment"])
    run = TaskRun(
        id=row["id"],
        task=row["task"],
        status=row["status"],
        args=tuple(json.loads(row["command"])),  # the name that ECS gives to the arguments of a start
        started_by=row["started_by"],
        execution=row["execution"],
        created_at=parse_time(row["created_at"]),
        started_at=parse_optional_time(row["started_at"]),
        stopped_at=parse_optional_time(row["stopped_at"]),
        exit_code=row["exit_code"],
        reason=row["reason"],
        stop_code=row["stop_code"],
        env={name: value for name, value in environment.items() if name not in IDENTIFYING_VARIABLES},
        cpu=row["cpu"],
        memory=row["memory"],
        attempt=int(environment.get(ATTEMPT_VARIABLE, 1)),
        not_before=parse_optional_time(row["not_before"]),
    )
    return RunRecord(
        run=run,
        environment=environment,
        cpu=row["cpu"],
        memory=row["memory"],
        token=row["token"],
        pid=row["pid"],
        pid_created=row["pid_created"],
        stop_requested=row["stop_requested"],
    )
