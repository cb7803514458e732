"""Removal of old records from the store, in batches. Open runs and executions are never removed."""

from __future__ import annotations

from datetime import datetime

from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time

_BATCH_LINES = 5000
_BATCH_ROWS = 100
_BATCH_EXECUTIONS = 10


class Pruning(StoreFile):
    """Methods that remove one batch of the oldest records and return the number of removed records."""

    def prune_lines(self, before: datetime) -> int:
        """Remove lines of runs that stopped before a time."""
        with self.relaxed_durability(), self.transaction():
            runs = self._select_ids(
                "SELECT id FROM run WHERE status = 'STOPPED' AND stopped_at < ? AND lines_pruned = 0"
                " ORDER BY stopped_at LIMIT ?",
                (format_time(before), _BATCH_ROWS),
            )
            gone = self._drop_lines(runs)
            if gone < _BATCH_LINES:
                self._db.executemany("UPDATE run SET lines_pruned = 1 WHERE id = ?", ((run,) for run in runs))
            return gone or len(runs)

    def prune_runs(self, before: datetime, keep: int) -> int:
        """Remove runs outside executions, with lines, that stopped before a time or exceed the newest ``keep``."""
        with self.relaxed_durability(), self.transaction():
            runs = self._select_ids(
                "SELECT id FROM run WHERE status = 'STOPPED' AND execution IS NULL"
                " AND (stopped_at < ?1 OR rowid <="
                " (SELECT rowid FROM run WHERE status = 'STOPPED' AND execution IS NULL"
                " ORDER BY rowid DESC LIMIT 1 OFFSET ?2)) ORDER BY rowid LIMIT ?3",
                (format_time(before), keep, _BATCH_ROWS),
            )
            return self._drop_lines(runs) or self._drop("run", runs)

    def prune_executions(self, before: datetime, keep: int) -> int:
        """Remove executions, with histories and runs, that ended before a time or exceed the newest ``keep``."""
        with self.relaxed_durability(), self.transaction():
            executions = self._select_ids(
                "SELECT id FROM execution WHERE status <> 'RUNNING'"
                " AND (stopped_at < ?1 OR rowid <= (SELECT rowid FROM execution WHERE status <> 'RUNNING'"
                " ORDER BY rowid DESC LIMIT 1 OFFSET ?2))"
                " AND NOT EXISTS (SELECT 1 FROM run WHERE run.execution = execution.id AND run.status <> 'STOPPED')"
                " ORDER BY rowid LIMIT ?3",
                (format_time(before), keep, _BATCH_EXECUTIONS),
            )
            runs = [
                run for one in executions for run in self._select_ids("SELECT id FROM run WHERE execution = ?", (one,))
            ]
            return self._drop_lines(runs) or self._drop("execution", executions)

    def prune_notifications(self, before: datetime) -> int:
        """Remove notifications from before a time."""
        return self._prune(
            "DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE time < ? ORDER BY id LIMIT ?)",
            (format_time(before), _BATCH_ROWS),
        )

    def prune_starts(self, before: datetime) -> int:
        """Remove records of starts that were due and decided before a time."""
        return self._prune(
            "DELETE FROM start WHERE token IN"
            " (SELECT token FROM start WHERE decided_at < ?1 AND due_at < ?1 ORDER BY decided_at LIMIT ?2)",
            (format_time(before), _BATCH_ROWS),
        )

    def vacuum(self, pages: int) -> None:
        """Return up to ``pages`` free pages of the file to the file system."""
        self._db.executescript(f"PRAGMA incremental_vacuum({int(pages)})")  # execute() frees only one page

    def _select_ids(self, query: str, parameters: tuple[object, ...]) -> list[str]:
        return [row["id"] for row in self._db.execute(query, parameters)]

    def _drop(self, table: str, ids: list[str]) -> int:
        self._db.executemany(f"DELETE FROM {table} WHERE id = ?", ((id,) for id in ids))
        return len(ids)

    def _drop_lines(self, runs: list[str]) -> int:
        """Remove at most ``_BATCH_LINES`` lines of these runs, so that the transaction stays short."""
        gone = 0
        for run in runs:
            gone += self._db.execute(
                "DELETE FROM log_line WHERE position IN (SELECT position FROM log_line WHERE run = ? LIMIT ?)",
                (run, _BATCH_LINES - gone),
            ).rowcount
            if gone >= _BATCH_LINES:
                break
        return gone

    def _prune(self, statement: str, parameters: tuple[object, ...]) -> int:
        with self.relaxed_durability(), self.transaction():
            return self._db.execute(statement, parameters).rowcount
