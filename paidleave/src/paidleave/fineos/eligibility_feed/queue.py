"""The queue of employees to send, in updates mode: claim, plan, settle, release.

Another export leaves claimed employees alone while the claim is valid (:mod:`paidleave.db.claims`). A row leaves the
queue only after the file that it asks for was written. So a crash loses nothing: what had been written but not yet
settled is written once more by the next export, under another name.

All rows of an employee are claimed together, and none of an employee of whom another export holds one: two exports
never write the same person side by side, so an older state cannot follow a newer one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from paidleave.db import locks
from paidleave.db.claims import CLAIMANTS, Claims
from paidleave.db.statements import Statements
from paidleave.fineos.eligibility_feed.delivery import Delivered
from paidleave.fineos.eligibility_feed.employer_numbers import Failure

_SQL = Statements("paidleave.fineos.eligibility_feed")


@dataclass(frozen=True, slots=True)
class QueuedEmployees:
    """Employees in the queue when an export claimed: free ones, and of those who has to wait and why."""

    pending: int
    held_by_other_export: int
    without_name: int
    without_employer: int


@dataclass(frozen=True, slots=True)
class Planned:
    """How many employers the claimed employees belong to, and for how many of them there is a file to write."""

    employers: int
    files: int


@dataclass(frozen=True)
class EmployeeQueue:
    """The queue as one export uses it, by its claims on one connection in autocommit mode."""

    connection: psycopg.Connection
    mine: Claims

    def take(self, employee_limit: int | None) -> QueuedEmployees:
        """Claim up to ``employee_limit`` employees and find out into whose files they go."""
        self.mine.announce(self.connection)
        self._run("queue_remove_orphans")
        with self.connection.transaction():
            locks.ELIGIBILITY_CLAIMS.acquire_in_transaction(self.connection)
            self._run("queue_candidates", claimants=CLAIMANTS)
            waiting = QueuedEmployees(*self._run("queue_count").fetchone() or (0, 0, 0, 0))
            self._run("queue_claim", claim=self.mine.name, lease=self.mine.lease, employee_limit=employee_limit)
        self._run("plan_obligations", claim=self.mine.name)
        self._run("plan_pairs")
        self._run("plan_failures")
        return waiting

    def failed(self, failure: Failure) -> None:
        """Note that an employer of the plan has no file because FINEOS could not be asked for its number."""
        self.connection.execute(
            "INSERT INTO pg_temp.eligibility_feed_failure VALUES (%s, %s)", (failure.employer_id, failure.error)
        )

    def plan(self) -> Planned:
        """Put the files into order, now that the employers' numbers are known."""
        self._run("plan_employers")
        self._run("plan_index")
        row = self.connection.execute(
            "SELECT count(*), count(number) FROM pg_temp.eligibility_feed_employer"
        ).fetchone()
        return Planned(*row or (0, 0))

    def open_batch(self, first: int, last: int) -> None:
        """Make the pairs of the files ``first`` to ``last`` what the pass reads; call it in the pass's transaction."""
        self.connection.execute("DROP TABLE IF EXISTS pg_temp.eligibility_feed_pair")
        self._run("batch_pairs", first=first, last=last)
        self.connection.execute("ANALYZE pg_temp.eligibility_feed_pair")

    def settle(self, delivered: Iterable[Delivered]) -> None:
        """Take out of the queue what the batch's written files have answered, and note why the others failed."""
        written: list[int] = []
        with self.connection.transaction():
            for file in delivered:
                if file.error is None:
                    written.append(file.fineos_employer_id)
                else:
                    self._run("batch_failed", fineos_employer_id=file.fineos_employer_id, error=file.error)
            self._run("batch_settle", written=written, claim=self.mine.name)

    def renew(self) -> None:
        """Start the lease of what is claimed again."""
        self.mine.renew(self.connection)

    def release(self) -> None:
        """Make free what is still claimed, with the reason why it stays."""
        with self.connection.transaction():
            if self.connection.execute("SELECT to_regclass('pg_temp.eligibility_feed_employer')").fetchone() != (None,):
                self._run("queue_explain", claim=self.mine.name)
            self.mine.release(self.connection)
        self.mine.withdraw(self.connection)

    def _run(self, name: str, **values: object) -> psycopg.Cursor[Any]:
        return _SQL.run(self.connection, name, **values)
