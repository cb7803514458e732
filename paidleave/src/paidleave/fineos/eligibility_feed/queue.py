"""The queue of employees to send, in updates mode: claim, plan, settle, release.

A claim is a name on the queue rows, a lease, and a lock that PostgreSQL takes away from a process that dies. Another
export leaves claimed employees alone while the lock is held and the lease runs; otherwise it takes them over at once.
A row leaves the queue only after the file that it asks for was written. So a crash loses nothing: what had been
written but not yet settled is written once more by the next export, under another name.

All rows of an employee are claimed together, and none of an employee of whom another export holds one: two exports
never write the same person side by side, so an older state cannot follow a newer one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from paidleave.fineos.eligibility_feed.delivery import Delivered
from paidleave.fineos.eligibility_feed.employer_numbers import Failure
from paidleave.fineos.eligibility_feed.sql import statement

_CLAIMING = 0x0E11_61B1  # advisory lock: exports claim one after the other
_HOLDING = 0x0E11_61B2  # seed of the advisory locks that show that a claim's holder lives


@dataclass(frozen=True, slots=True)
class Waiting:
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
class Queue:
    """The claims of one export, named ``claim`` (unique), on one connection in autocommit mode."""

    connection: psycopg.Connection
    claim: str
    lease_seconds: int

    def take(self, employee_limit: int | None) -> Waiting:
        """Claim up to ``employee_limit`` employees and find out into whose files they go."""
        run = self.connection.execute
        run("SELECT pg_advisory_lock(hashtextextended(%s, %s))", (self.claim, _HOLDING))
        run(statement("queue_remove_orphans"))
        with self.connection.transaction():
            run("SELECT pg_advisory_xact_lock(%s)", (_CLAIMING,))
            run(statement("queue_candidates"), {"living": self._living()})
            waiting = Waiting(*run(statement("queue_count")).fetchone() or (0, 0, 0, 0))
            run(
                statement("queue_claim"),
                {"claim": self.claim, "lease_seconds": self.lease_seconds, "employee_limit": employee_limit},
            )
        run(statement("plan_obligations"), {"claim": self.claim})
        run(statement("plan_pairs"))
        run(statement("plan_failures"))
        return waiting

    def failed(self, failure: Failure) -> None:
        """Note that an employer of the plan has no file because FINEOS could not be asked for its number."""
        self.connection.execute(
            "INSERT INTO pg_temp.eligibility_feed_failure VALUES (%s, %s)", (failure.employer_id, failure.error)
        )

    def plan(self) -> Planned:
        """Put the files into order, now that the employers' numbers are known."""
        self.connection.execute(statement("plan_employers"))
        self.connection.execute(statement("plan_index"))
        row = self.connection.execute(
            "SELECT count(*), count(number) FROM pg_temp.eligibility_feed_employer"
        ).fetchone()
        return Planned(*row or (0, 0))

    def open_batch(self, first: int, last: int) -> None:
        """Make the pairs of the files ``first`` to ``last`` what the pass reads; call it in the pass's transaction."""
        self.connection.execute("DROP TABLE IF EXISTS pg_temp.eligibility_feed_pair")
        self.connection.execute(statement("batch_pairs"), {"first": first, "last": last})
        self.connection.execute("ANALYZE pg_temp.eligibility_feed_pair")

    def settle(self, delivered: Iterable[Delivered]) -> None:
        """Take out of the queue what the batch's written files have answered, and note why the others failed."""
        written: list[int] = []
        with self.connection.transaction():
            for file in delivered:
                if file.error is None:
                    written.append(file.fineos_employer_id)
                else:
                    self.connection.execute(
                        statement("batch_failed"),
                        {"fineos_employer_id": file.fineos_employer_id, "error": file.error},
                    )
            self.connection.execute(statement("batch_settle"), {"written": written, "claim": self.claim})

    def renew(self) -> None:
        """Start the lease anew."""
        self.connection.execute(statement("queue_renew"), {"claim": self.claim, "lease_seconds": self.lease_seconds})

    def release(self) -> None:
        """Set what is still claimed free, with the reason why it stays."""
        with self.connection.transaction():
            if self.connection.execute("SELECT to_regclass('pg_temp.eligibility_feed_employer')").fetchone() != (None,):
                self.connection.execute(statement("queue_explain"), {"claim": self.claim})
            self.connection.execute(statement("queue_release"), {"claim": self.claim})
        self.connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, %s))", (self.claim, _HOLDING))

    def _living(self) -> list[str]:
        """The other exports that hold rows, have a running lease and are alive."""
        return [claim for (claim,) in self.connection.execute(statement("queue_holders")) if self._lives(claim)]

    def _lives(self, claim: str) -> bool:
        if claim == self.claim:
            return False
        row = self.connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, %s))", (claim, _HOLDING)
        ).fetchone()
        return row == (False,)
