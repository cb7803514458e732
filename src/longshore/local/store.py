"""The engine's memory: one SQLite file.

Whatever happens outside the engine is written down before it is made to happen: a run before its process starts, the
events of an execution's step before its commands are carried out. Commits reach the disk (``synchronous = FULL``), so
that neither a killed engine nor a power failure forgets or repeats a step. What a later commit makes durable anyway,
or what means nothing after a power failure (a process id), is written :meth:`Store.unhurried`: a killed engine has it,
and nobody waits for the disk.

The file is also how a command in another terminal talks to a running engine: it adds runs, executions and requests to
stop, and reads what became of them. It holds no secret and no personal data: tasks' output is redacted by their
runtime, and secrets go from their files to the task's environment.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from longshore.backend import Execution, LogLine, Run
from longshore.errors import LongshoreError
from longshore.states.history import HistoryEvent

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE execution (
    id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    definition TEXT NOT NULL,
    input TEXT NOT NULL,
    status TEXT NOT NULL,
    output TEXT,
    error TEXT,
    cause TEXT,
    started_at TEXT NOT NULL,
    stopped_at TEXT,
    stop_requested TEXT
) STRICT;
CREATE INDEX execution_by_workflow ON execution (workflow, started_at);
CREATE INDEX execution_open ON execution (status) WHERE status = 'RUNNING';

CREATE TABLE event (
    execution TEXT NOT NULL REFERENCES execution (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (execution, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    status TEXT NOT NULL,
    command TEXT NOT NULL,
    environment TEXT NOT NULL,
    cpu INTEGER,
    memory INTEGER,
    started_by TEXT NOT NULL,
    execution TEXT REFERENCES execution (id) ON DELETE CASCADE,
    token TEXT UNIQUE,
    created_at TEXT NOT NULL,
    started_at TEXT,
    stopped_at TEXT,
    pid INTEGER,
    pid_created REAL,
    exit_code INTEGER,
    stop_code TEXT,
    reason TEXT,
    stop_requested TEXT
) STRICT;
CREATE INDEX run_by_task ON run (task, created_at);
CREATE INDEX run_by_execution ON run (execution);
CREATE INDEX run_open ON run (status) WHERE status <> 'STOPPED';

CREATE TABLE log_line (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    time TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX log_line_by_run ON log_line (run, position);

CREATE TABLE notification (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    subject TEXT,
    message TEXT NOT NULL,
    time TEXT NOT NULL,
    execution TEXT,
    token TEXT UNIQUE
) STRICT;
"""


class StoreTooNew(LongshoreError):
    """A newer version of Longshore has written the store. Use that version, or another state directory."""


class HistoryDamaged(LongshoreError):
    """An event of an execution's history cannot be read. Start the workflow again; ``readable`` are those before it."""

    def __init__(self, message: str, readable: list[HistoryEvent]) -> None:
        super().__init__(message)
        self.readable = readable


@dataclass(frozen=True)
class RunRecord:
    """All that is recorded of a run; ``run`` is what others see of it."""

    run: Run
    environment: dict[str, str]
    cpu: int | None
    memory: int | None
    token: str | None
    pid: int | None
    pid_created: float | None
    stop_code: str | None
    stop_requested: str | None


def now() -> datetime:
    """The time of the machine, in UTC."""
    return datetime.now(UTC)


class Store:
    """The store's file; safe for several processes at once, each with its own ``Store``."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = not file.exists()
        self._db = sqlite3.connect(file, isolation_level=None, timeout=30)
        if new:
            file.chmod(0o600)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._prepare()

    def _prepare(self) -> None:
        with self.transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise StoreTooNew(
                    f"{self.file} was written by a newer version of Longshore (store {version}; this one knows "
                    f"{SCHEMA_VERSION}). Use that version, or another state directory (LONGSHORE_STATE)."
                )
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within are made together or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it by itself
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Writes within do not wait for the disk. After a power failure they may be missing, together with all later
        ones of their kind, unless an ordinary commit came after them."""
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    def data_version(self) -> int:
        """Changes whenever another process has written."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return version

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────

    def add_run(
        self,
        id: str,
        task: str,
        command: Sequence[str],
        environment: dict[str, str],
        *,
        cpu: int | None = None,
        memory: int | None = None,
        started_by: str = "",
        execution: str | None = None,
        token: str | None = None,
    ) -> None:
        """Write down that a run is wanted."""
        self._db.execute(
            "INSERT INTO run (id, task, status, command, environment, cpu, memory, started_by, execution, token,"
            " created_at) VALUES (?, ?, 'QUEUED', ?, ?, ?, ?, ?, ?, ?, ?)",
            (id, task, json.dumps(list(command)), json.dumps(environment), cpu, memory, started_by, execution, token,
             _text(now())),
        )  # fmt: skip

    def run_pending(self, id: str) -> None:
        """Write down that the run's process is about to be started."""
        self._db.execute("UPDATE run SET status = 'PENDING' WHERE id = ?", (id,))

    def run_started(self, id: str, pid: int, pid_created: float) -> None:
        """Write down the run's process."""
        with self.unhurried():
            self._db.execute(
                "UPDATE run SET status = 'RUNNING', started_at = ?, pid = ?, pid_created = ? WHERE id = ?",
                (_text(now()), pid, pid_created, id),
            )

    def run_stopped(self, id: str, exit_code: int | None, stop_code: str, reason: str) -> None:
        """Write down how the run ended."""
        self._db.execute(
            "UPDATE run SET status = 'STOPPED', stopped_at = ?, exit_code = ?, stop_code = ?, reason = ?, pid = NULL"
            " WHERE id = ? AND status <> 'STOPPED'",
            (_text(now()), exit_code, stop_code, reason, id),
        )

    def run(self, id: str) -> RunRecord | None:
        """A run by its id."""
        row = self._db.execute("SELECT * FROM run WHERE id = ?", (id,)).fetchone()
        return None if row is None else _run_record(row)

    def run_of_token(self, token: str) -> RunRecord | None:
        """The run that an execution's task asked for."""
        row = self._db.execute("SELECT * FROM run WHERE token = ?", (token,)).fetchone()
        return None if row is None else _run_record(row)

    def open_runs(self) -> list[RunRecord]:
        """Runs that have not stopped, oldest first."""
        rows = self._db.execute("SELECT * FROM run WHERE status <> 'STOPPED' ORDER BY created_at, rowid")
        return [_run_record(row) for row in rows]

    def runs(self, task: str | None, execution: str | None, limit: int) -> list[Run]:
        """Runs, newest first."""
        rows = self._db.execute(
            "SELECT * FROM run WHERE (?1 IS NULL OR task = ?1) AND (?2 IS NULL OR execution = ?2)"
            " ORDER BY created_at DESC, rowid DESC LIMIT ?3",
            (task, execution, limit),
        )
        return [_run_record(row).run for row in rows]

    # ── executions ────────────────────────────────────────────────────────────────────────────────────────────

    def add_execution(self, id: str, workflow: str, definition: dict[str, Any], input: Any) -> None:
        """Write down that an execution is wanted."""
        self._db.execute(
            "INSERT INTO execution (id, workflow, definition, input, status, started_at)"
            " VALUES (?, ?, ?, ?, 'RUNNING', ?)",
            (id, workflow, json.dumps(definition), json.dumps(input), _text(now())),
        )

    def execution(self, id: str) -> Execution | None:
        """An execution by its id."""
        row = self._db.execute("SELECT * FROM execution WHERE id = ?", (id,)).fetchone()
        return None if row is None else _execution(row)

    def definition(self, id: str) -> dict[str, Any]:
        """The definition that an execution began with."""
        row = self._db.execute("SELECT definition FROM execution WHERE id = ?", (id,)).fetchone()
        definition: dict[str, Any] = json.loads(row["definition"])
        return definition

    def executions(self, workflow: str | None, limit: int) -> list[Execution]:
        """Executions, newest first."""
        rows = self._db.execute(
            "SELECT * FROM execution WHERE ?1 IS NULL OR workflow = ?1 ORDER BY started_at DESC, rowid DESC LIMIT ?2",
            (workflow, limit),
        )
        return [_execution(row) for row in rows]

    def open_executions(self) -> list[Execution]:
        """Executions that have not ended, oldest first."""
        rows = self._db.execute("SELECT * FROM execution WHERE status = 'RUNNING' ORDER BY started_at, rowid")
        return [_execution(row) for row in rows]

    def add_events(self, id: str, first: int, events: Iterable[HistoryEvent]) -> None:
        """Append events to an execution's history, the first of them at index ``first``."""
        self._db.executemany(
            "INSERT INTO event (execution, sequence, event) VALUES (?, ?, ?)",
            ((id, n, json.dumps(event.to_json())) for n, event in enumerate(events, first)),
        )

    def events(self, id: str) -> list[HistoryEvent]:
        """An execution's history; raises HistoryDamaged."""
        rows = self._db.execute("SELECT event FROM event WHERE execution = ? ORDER BY sequence", (id,))
        history: list[HistoryEvent] = []
        for row in rows:
            try:
                history.append(HistoryEvent.from_json(json.loads(row["event"])))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                problem = f"Event {len(history) + 1} of execution {id} in {self.file} cannot be read ({error!r})."
                raise HistoryDamaged(problem, history) from error
        return history

    def execution_ended(self, id: str, status: str, output: Any, error: str | None, cause: str | None) -> None:
        """Write down how an execution ended."""
        self._db.execute(
            "UPDATE execution SET status = ?, output = ?, error = ?, cause = ?, stopped_at = ? WHERE id = ?",
            (status, json.dumps(output), error, cause, _text(now()), id),
        )

    # ── requests, lines, notifications ────────────────────────────────────────────────────────────────────────

    def request_stop(self, id: str, reason: str) -> None:
        """Ask whoever works on a run or execution to stop it."""
        with self.transaction():
            self._db.execute("UPDATE run SET stop_requested = ? WHERE id = ? AND status <> 'STOPPED'", (reason, id))
            self._db.execute(
                "UPDATE execution SET stop_requested = ? WHERE id = ? AND status = 'RUNNING'", (reason, id)
            )

    def stops(self) -> dict[str, str]:
        """The open runs and executions that are asked to stop, with the reasons."""
        rows = self._db.execute(
            "SELECT id, stop_requested FROM run WHERE status <> 'STOPPED' AND stop_requested IS NOT NULL"
            " UNION ALL"
            " SELECT id, stop_requested FROM execution WHERE status = 'RUNNING' AND stop_requested IS NOT NULL"
        )
        return {row["id"]: row["stop_requested"] for row in rows}

    def matching(self, prefix: str) -> list[str]:
        """The ids of runs and executions that begin like this, newest first, ten at most."""
        pattern = prefix.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
        rows = self._db.execute(
            "SELECT id, created_at AS time FROM run WHERE id LIKE ?1 ESCAPE '!'"
            " UNION ALL SELECT id, started_at FROM execution WHERE id LIKE ?1 ESCAPE '!' ORDER BY time DESC LIMIT 10",
            (pattern,),
        )
        return [row["id"] for row in rows]

    def add_lines(self, lines: Iterable[tuple[str, str]]) -> None:
        """Keep lines of runs: (run, text). They reach the disk with the next commit of another kind."""
        time = _text(now())
        with self.unhurried(), self.transaction():
            self._db.executemany(
                "INSERT INTO log_line (run, time, text) VALUES (?, ?, ?)", ((run, time, text) for run, text in lines)
            )

    def lines(self, runs: Sequence[str], after: int, limit: int = 1000) -> list[LogLine]:
        """Lines of these runs behind a position, in order."""
        marks = ", ".join("?" * len(runs))
        rows = self._db.execute(
            f"SELECT * FROM log_line WHERE run IN ({marks}) AND position > ? ORDER BY position LIMIT ?",
            (*runs, after, limit),
        )
        return [LogLine(row["position"], row["run"], _time(row["time"]), row["text"]) for row in rows]

    def add_notification(self, token: str, topic: str, subject: str | None, message: str, execution: str) -> None:
        """Keep a notification, once for each token."""
        self._db.execute(
            "INSERT OR IGNORE INTO notification (topic, subject, message, time, execution, token)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (topic, subject, message, _text(now()), execution, token),
        )

    def notifications(self) -> list[dict[str, Any]]:
        """All notifications, oldest first."""
        return [dict(row) for row in self._db.execute("SELECT * FROM notification ORDER BY id")]


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)


def _run_record(row: sqlite3.Row) -> RunRecord:
    run = Run(
        id=row["id"],
        task=row["task"],
        status=row["status"],
        command=tuple(json.loads(row["command"])),
        started_by=row["started_by"],
        execution=row["execution"],
        created_at=_time(row["created_at"]),
        started_at=_maybe_time(row["started_at"]),
        stopped_at=_maybe_time(row["stopped_at"]),
        exit_code=row["exit_code"],
        reason=row["reason"],
    )
    return RunRecord(
        run=run,
        environment=json.loads(row["environment"]),
        cpu=row["cpu"],
        memory=row["memory"],
        token=row["token"],
        pid=row["pid"],
        pid_created=row["pid_created"],
        stop_code=row["stop_code"],
        stop_requested=row["stop_requested"],
    )


def _execution(row: sqlite3.Row) -> Execution:
    return Execution(
        id=row["id"],
        workflow=row["workflow"],
        status=row["status"],
        started_at=_time(row["started_at"]),
        stopped_at=_maybe_time(row["stopped_at"]),
        input=json.loads(row["input"]),
        output=None if row["output"] is None else json.loads(row["output"]),
        error=row["error"],
        cause=row["cause"],
    )
