"""Operations on runs and executions by ID."""

from __future__ import annotations

from nightferry.local.store.file import StoreFile


class Requests(StoreFile):
    """Stop requests, and lookups of IDs by prefix."""

    def request_stop(self, id: str, reason: str) -> None:
        """Record a request to stop a run or execution. The engine that runs it reads the request."""
        with self.transaction():
            self._db.execute("UPDATE run SET stop_requested = ? WHERE id = ? AND status <> 'STOPPED'", (reason, id))
            self._db.execute(
                "UPDATE execution SET stop_requested = ? WHERE id = ? AND status = 'RUNNING'", (reason, id)
            )

    def stop_requests(self) -> dict[str, str]:
        """Return the reasons of all stop requests for open runs and executions, by ID."""
        # Without statistics, SQLite would read all open runs and executions.
        rows = self._db.execute(
            "SELECT id, stop_requested FROM run INDEXED BY run_to_stop"
            " WHERE status <> 'STOPPED' AND stop_requested IS NOT NULL"
            " UNION ALL"
            " SELECT id, stop_requested FROM execution INDEXED BY execution_to_stop"
            " WHERE status = 'RUNNING' AND stop_requested IS NOT NULL"
        )
        return {row["id"]: row["stop_requested"] for row in rows}

    def find_ids(self, prefix: str) -> list[str]:
        """Return at most ten IDs of runs and executions that begin with ``prefix``, newest first."""
        # A range, unlike LIKE, uses the index. No ID contains the last code point.
        rows = self._db.execute(
            "SELECT id, created_at AS time FROM run WHERE id >= ?1 AND id < ?1 || char(0x10FFFF)"
            " UNION ALL SELECT id, started_at FROM execution WHERE id >= ?1 AND id < ?1 || char(0x10FFFF)"
            " ORDER BY time DESC LIMIT 10",
            (prefix,),
        )
        return [row["id"] for row in rows]
