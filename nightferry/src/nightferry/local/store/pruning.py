"""What goes from the store when it is old: a batch at a time, and never what is open."""

from __future__ import annotations

from datetime import datetime

from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time

_BATCH_LINES = 5000
_BATCH_ROWS = 100
_BATCH_EXECUTIONS = 10


class Pruning(StoreFile):
    """Each removes one batch, the oldest first, and answers how many records went."""

    def prune_lines(self, before: datetime) -> int:
        """Lines of runs that stopped before that time."""
        with self.relaxed_durability(), self.transaction():
            runs = self._ids(
                "SELECT id FROM run WHERE status = 'STOPPED' AND stopped_at < ? AND lines_pruned = 0"
                " ORDER BY stopped_at LIMIT ?",
                (format_time(before), _BATCH_ROWS),
            )
            gone = self._drop_lines(runs)
            if gone < _BATCH_LINES:
                self._db.executemany("UPDATE run SET lines_pruned = 1 WHERE id = ?", ((run,) for run in runs))
            return gone or len(runs)

    def prune_runs(self, before: datetime, keep: int) -> int:
        """Runs without an execution that stopped before that time, or that are more than ``keep``; with their lines."""
        with self.relaxed_durability(), self.transaction():
            runs = self._ids(
                "SELECT id FROM run WHERE status = 'STOPPED' AND execution IS NULL"
                " AND (stopped_at < ?1 OR rowid <="
                " (SELECT rowid FROM run WHERE status = 'STOPPED' AND execution IS NULL"
                " ORDER BY rowid DESC LIMIT 1 OFFSET ?2)) ORDER BY rowid LIMIT ?3",
                (format_time(before), keep, _BATCH_ROWS),
            )
            return self._drop_lines(runs) or self._drop("run", runs)

    def prune_executions(self, before: datetime, keep: int) -> int:
        """Executions that ended before that time, or that are more than ``keep``; with their histories and runs."""
        with self.relaxed_durability(), self.transaction():
            executions = self._ids(
                "SELECT id FROM execution WHERE status <> 'RUNNING'"
                " AND (stopped_at < ?1 OR rowid <= (SELECT rowid FROM execution WHERE status <> 'RUNNING'"
                " ORDER BY rowid DESC LIMIT 1 OFFSET ?2))"
                " AND NOT EXISTS (SELECT 1 FROM run WHERE run.execution = execution.id AND run.status <> 'STOPPED')"
                " ORDER BY rowid LIMIT ?3",
                (format_time(before), keep, _BATCH_EXECUTIONS),
            )
            runs = [run for one in executions for run in self._ids("SELECT id FROM run WHERE execution = ?", (one,))]
            return self._drop_lines(runs) or self._drop("execution", executions)

    def prune_notifications(self, before: datetime) -> int:
        """Notifications of before that time."""
        return self._prune(
            "DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE time < ? ORDER BY id LIMIT ?)",
            (format_time(before), _BATCH_ROWS),
        )

    def prune_starts(self, before: datetime) -> int:
        """What is remembered of occasions that were due, and decided upon, before that time."""
        return self._prune(
            "DELETE FROM start WHERE token IN"
            " (SELECT token FROM start WHERE decided_at < ?1 AND due_at < ?1 ORDER BY decided_at LIMIT ?2)",
            (format_time(before), _BATCH_ROWS),
        )

    def vacuum(self, pages: int) -> None:
        """Give some of the room that pruning has made back to the disk."""
        self._db.executescript(f"PRAGMA incremental_vacuum({int(pages)})")  # execute would end after the first page

    def _ids(self, query: str, parameters: tuple[object, ...]) -> list[str]:
        return [row["id"] for row in self._db.execute(query, parameters)]

    def _drop(self, table: str, ids: list[str]) -> int:
        self._db.executemany(f"DELETE FROM {table} WHERE id = ?", ((id,) for id in ids))
        return len(ids)

    def _drop_lines(self, runs: list[str]) -> int:
        """Remove lines of these runs, so many at most that nobody waits long."""
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
