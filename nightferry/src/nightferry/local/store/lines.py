"""The store's tables of log lines, events and reports of runs, and notifications."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nightferry.backend.log_lines import judge_level
from nightferry.backend.log_windows import LEVELS, LogLine
from nightferry.backend.reports import make_report_id, parse_report
from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, now, parse_time


class Lines(StoreFile):
    """Access to the tables of log lines, events and reports of runs, and notifications."""

    def add_lines(self, lines: Iterable[tuple[str, str]]) -> None:
        """Add lines as (run, text). They are durable after the next commit outside ``relaxed_durability``."""
        at = format_time(now())
        added = list(lines)
        sizes: Counter[str] = Counter()
        for run, text in added:
            sizes[run] += len(text.encode(errors="surrogatepass"))
        with self.relaxed_durability(), self.transaction():
            self._db.executemany(
                "INSERT INTO log_line (run, time, text, level) VALUES (?, ?, ?, ?)",
                ((run, at, line, LEVELS.index(judge_level(line))) for run, line in added),
            )
            self._db.executemany(
                "UPDATE run SET log_bytes = coalesce(log_bytes, 0) + ? WHERE id = ?",
                [(size, run) for run, size in sizes.items()],
            )

    def lines(self, runs: Sequence[str], after: int, limit: int = 1000) -> list[LogLine]:
        """Return the lines of these runs after a position, in order."""
        marks = ", ".join("?" * len(runs))
        rows = self._db.execute(
            f"SELECT * FROM log_line WHERE run IN ({marks}) AND position > ? ORDER BY position LIMIT ?",
            (*runs, after, limit),
        )
        return [_parse_row(row) for row in rows]

    def last_lines(self, run: str, limit: int) -> list[LogLine]:
        """Return the last lines of a run, in order."""
        rows = self._db.execute(
            "SELECT * FROM log_line WHERE run = ? ORDER BY position DESC LIMIT ?", (run, limit)
        ).fetchall()
        return [_parse_row(row) for row in reversed(rows)]

    def last_errors(self, run: str, limit: int) -> list[LogLine]:
        """Return those of the last lines of a run that may be errors, in order."""
        rows = self._db.execute(
            "SELECT * FROM (SELECT * FROM log_line WHERE run = ? ORDER BY position DESC LIMIT ?)"
            " WHERE instr(text, '\"ERROR\"') > 0 OR instr(text, '\"CRITICAL\"') > 0 ORDER BY position",
            (run, limit),
        )
        return [_parse_row(row) for row in rows]

    def add_event(self, run: str, event: str, data: Mapping[str, Any]) -> None:
        """Record an event of a run's job runtime, in place of an earlier one of the same name."""
        self._db.execute(
            "INSERT OR REPLACE INTO run_event (run, event, time, data) VALUES (?, ?, ?, ?)",
            (run, event, format_time(now()), json.dumps(data, ensure_ascii=False)),
        )

    def add_report(self, run: str, fields: Mapping[str, Any]) -> bool:
        """Record a report of a run from the fields of its log line; return False if they are not one."""
        time = now()
        report = parse_report(fields, make_report_id(time, uuid.uuid4().hex), run, time)
        if report is not None:
            self._db.execute(
                "INSERT INTO report (id, run, kind, subject, time, data) VALUES (?, ?, ?, ?, ?, ?)",
                (report.id, run, report.kind, report.subject, format_time(time), json.dumps(fields)),
            )
        return report is not None

    def run_event(self, run: str, event: str) -> dict[str, Any] | None:
        """Return the fields of a run's event of this name; None without one."""
        row = self._db.execute("SELECT data FROM run_event WHERE run = ? AND event = ?", (run, event)).fetchone()
        return None if row is None else dict(json.loads(row["data"]))

    def add_notification(
        self, token: str, topic: str, subject: str | None, message: str, execution: str | None = None
    ) -> None:
        """Add a notification, once per token."""
        self._db.execute(
            "INSERT OR IGNORE INTO notification (topic, subject, message, time, execution, token)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (topic, subject, message, format_time(now()), execution, token),
        )

    def notifications(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the notifications after an ID, oldest first."""
        return [dict(row) for row in self._db.execute("SELECT * FROM notification WHERE id > ? ORDER BY id", (after,))]

    def execution_topics(self, execution: str) -> list[str]:
        """Return the topic of each notification of an execution, oldest first."""
        rows = self._db.execute("SELECT topic FROM notification WHERE execution = ? ORDER BY id", (execution,))
        return [str(row["topic"]) for row in rows]

    def newest_notifications(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest notifications, newest first."""
        rows = self._db.execute("SELECT * FROM notification ORDER BY id DESC LIMIT ?", (limit,))
        return [dict(row) for row in rows]

    def last_notification(self) -> int:
        """Return the ID of the newest notification, or 0."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM notification").fetchone()[0])


def _parse_row(row: sqlite3.Row) -> LogLine:
    return LogLine(row["position"], row["run"], parse_time(row["time"]), row["text"])
