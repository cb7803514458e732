"""What people ask for by a run's or execution's id."""

from __future__ import annotations

from nightferry.local.store.file import StoreFile


class Requests(StoreFile):
    """Requests to stop, and ids by their beginnings."""

    def request_stop(self, id: str, reason: str) -> None:
        """Ask whoever works on a run or execution to stop it."""
        with self.transaction():
            self._db.execute("UPDATE run SET stop_requested = ? WHERE id = ? AND status <> 'STOPPED'", (reason, id))
            self._db.execute(
                "UPDATE execution SET stop_requested = ? WHERE id = ? AND status = 'RUNNING'", (reason, id)
            )

    def stop_requests(self) -> dict[str, str]:
        """The open runs and executions that are asked to stop, with the reasons."""
        rows = self._db.execute(
            "SELECT id, stop_requested FROM run WHERE status <> 'STOPPED' AND stop_requested IS NOT NULL"
            " UNION ALL"
            " SELECT id, stop_requested FROM execution WHERE status = 'RUNNING' AND stop_requested IS NOT NULL"
        )
        return {row["id"]: row["stop_requested"] for row in rows}

    def find_ids(self, prefix: str) -> list[str]:
        """The ids of runs and executions that begin like this, newest first, ten at most."""
        pattern = prefix.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
        rows = self._db.execute(
            "SELECT id, created_at AS time FROM run WHERE id LIKE ?1 ESCAPE '!'"
            " UNION ALL SELECT id, started_at FROM execution WHERE id LIKE ?1 ESCAPE '!' ORDER BY time DESC LIMIT 10",
            (pattern,),
        )
        return [row["id"] for row in rows]
