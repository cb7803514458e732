"""The queue of employees to send in updates mode: claim, plan, settle, release.

Other exports skip claimed employees while the claim is valid (:mod:`paidleave.db.claims`). A row is removed from the
queue only after the requested file was written. A crash therefore loses no data: the next export writes the files that
were not settled again under a different name.

All rows of an employee are claimed together. If another export claims one of them, all are skipped. Two exports
therefore never write the same person concurrently, and an older state cannot follow a newer one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from paidleave.db import locks
from paidleave.db.claims import CLAIMANTS, Claims
from paidleave.db.statements import Statements
from paidleave.fineos.eligibility_feed.delivery import DeliveredFile
from paidleave.fineos.eligibility_feed.employer_numbers import LookupFailure

_SQL = Statements("paidleave.fineos.eligibility_feed")


@dataclass(frozen=True, slots=True)
class QueuedEmployees:
    """Counts of the employees in the queue at the time of the claim.

    Attributes:
        pending: Employees that no other export claims.
        held_by_other_export: Employees that another export claims.
        without_name: Pending employees that cannot be sent because they have no name.
        without_employer: Pending employees that cannot be sent because they have no employer.
    """

    pending: int
    held_by_other_export: int
    without_name: int
    without_employer: int


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """The number of employers of the claimed employees, and the number of files to write for them."""

    employers: int
    files: int


@dataclass(frozen=True)
class EmployeeQueue:
    """The queue for one export. It uses the export's claims and a connection in autocommit mode."""

    connection: psycopg.Connection
    claims: Claims

    def claim(self, employee_limit: int | None) -> QueuedEmployees:
        """Claim up to ``employee_limit`` employees and determine the files that they belong to."""
        self.claims.announce(self.connection)
        self._run("queue_remove_orphans")
        with self.connection.transaction():
            locks.ELIGIBILITY_CLAIMS.acquire_in_transaction(self.connection)
            self._run("queue_candidates", claimants=CLAIMANTS)
            waiting = QueuedEmployees(*self._run("queue_count").fetchone() or (0, 0, 0, 0))
            self._run("queue_claim", claim=self.claims.name, lease=self.claims.lease, employee_limit=employee_limit)
        self._run("plan_obligations", claim=self.claims.name)
        self._run("plan_pairs")
        self._run("plan_failures")
        return waiting

    def record_failure(self, failure: LookupFailure) -> None:
        """Record that an employer gets no file because the lookup of its number failed."""
        self.connection.execute(
            "INSERT INTO pg_temp.eligibility_feed_failure VALUES (%s, %s)", (failure.employer_id, failure.error)
        )

    def plan(self) -> FeedPlan:
        """Plan the order of the files. Call it after the lookup of the employers' numbers."""
        self._run("plan_employers")
        self._run("plan_index")
        row = self.connection.execute(
            "SELECT count(*), count(number) FROM pg_temp.eligibility_feed_employer"
        ).fetchone()
        return FeedPlan(*row or (0, 0))

    def open_batch(self, first: int, last: int) -> None:
        """Select the pairs of the files ``first`` to ``last`` for the pass. Call it in the transaction of the pass."""
        self.connection.execute("DROP TABLE IF EXISTS pg_temp.eligibility_feed_pair")
        self._run("batch_pairs", first=first, last=last)
        self.connection.execute("ANALYZE pg_temp.eligibility_feed_pair")

    def settle(self, delivered: Iterable[DeliveredFile]) -> None:
        """Remove the rows of written files from the queue and record the errors of the others."""
        written: list[int] = []
        with self.connection.transaction():
            for file in delivered:
                if file.error is None:
                    written.append(file.fineos_employer_id)
                else:
                    self._run("batch_record_error", fineos_employer_id=file.fineos_employer_id, error=file.error)
            self._run("batch_settle", written=written, claim=self.claims.name)

    def renew(self) -> None:
        """Extend the lease of the claimed rows."""
        self.claims.renew(self.connection)

    def release(self) -> None:
        """Record the error in the rows that are still claimed, and release them."""
        with self.connection.transaction():
            if self.connection.execute("SELECT to_regclass('pg_temp.eligibility_feed_employer')").fetchone() != (None,):
                self._run("queue_record_errors", claim=self.claims.name)
            self.claims.release(self.connection)
        self.claims.withdraw(self.connection)

    def _run(self, name: str, **values: object) -> psycopg.Cursor[Any]:
        return _SQL.run(self.connection, name, **values)
