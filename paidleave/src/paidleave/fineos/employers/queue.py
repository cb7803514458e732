"""Source of the employers in ``employer_push_to_fineos_queue``. Claims let any number of loaders share the queue.

- A claim covers an employer with all its rows. It locks the employer's row (``skip locked``), writes the loader's name
  and the end of the lease to the queue rows, and commits. Two loaders therefore never process the same employer. Rows
  added meanwhile wait for the next claim.
- The rows of a killed loader become available immediately, those of a hanging loader when the lease expires
  (:mod:`paidleave.db.claims`).
- Rows left by processes of the old system have a process ID but no lease. They are available.
- Only loaders that start after the failure retry a failed employer. After ``attempt_limit`` failures it is parked: it
  is retried every ``parked_hours``, or as soon as DOR sends a change.
- Rows are removed when their employer was loaded, when the employer does not exist, and when their action is DELETE.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row

from paidleave.db.claims import CLAIMANTS, Claims
from paidleave.db.statements import Statements
from paidleave.fineos.client.service_agreements import Exemption
from paidleave.fineos.employers import customer_numbers
from paidleave.fineos.employers.source import (
    NO_EMPLOYER,
    Employer,
    Failed,
    Loaded,
    NumberAssigned,
    Outcome,
    WaitingEmployers,
)
from paidleave.fineos.settings import LoadEmployersSettings

_ATTEMPTS = 5
_SQL = Statements("paidleave.fineos.employers")
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class EmployerQueue:
    """The queue for one loader. It opens two connections, one for claims and one for outcomes."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], settings: LoadEmployersSettings) -> None:
        self._claim_connection = _set_autocommit(connect())
        self._save_connection = _set_autocommit(connect())
        self._process_id = settings.process_id
        self._attempts = {
            "attempt_limit": settings.employer_load_attempt_limit,
            "parked_for": timedelta(hours=settings.employer_load_parked_hours),
        }
        lease = timedelta(seconds=settings.employer_load_lease_seconds)
        self._own_claims = Claims("employer_push_to_fineos_queue", f"loader {secrets.token_hex(8)}", lease)
        self._own_claims.announce(self._claim_connection)
        self._started = self._claim_connection.execute("SELECT clock_timestamp()").fetchone()
        self._after = NO_EMPLOYER

    def remove_unusable_rows(self) -> dict[str, int]:
        """Remove rows that do not result in a call. Return their number by reason."""
        (removed,) = _retry_on_deadlock(
            lambda: _SQL.run(self._claim_connection, "queue_remove_unusable_rows").fetchall()
        )
        return {"deletions": removed.deletions, "without_employer": removed.without_employer}

    def count_waiting(self) -> WaitingEmployers:
        """Count the employers in the queue by state."""
        values = {"loader": self._own_claims.name, "claimants": CLAIMANTS, **self._attempts}
        (count,) = _SQL.run(self._claim_connection, "queue_count", **values).fetchall()
        return WaitingEmployers(count.waiting, count.parked, count.newly_parked, count.claimed_by_others)

    def claim(self, limit: int) -> Sequence[Employer]:
        """Claim the rows of up to ``limit`` employers for this loader and return the employers."""
        from_start = self._after == NO_EMPLOYER
        while True:
            found, claimed = self._claim(limit)
            if claimed:
                return claimed
            if not found:
                # The end of the queue is reached. Start over for rows that were added or released meanwhile.
                self._after = NO_EMPLOYER
                if from_start:
                    return []
                from_start = True

    def _claim(self, limit: int) -> tuple[bool, list[Employer]]:
        """Claim the next employers. Return whether employers were found, and the claimed ones."""
        with self._claim_connection.transaction():
            found = _SQL.run(
                self._claim_connection,
                "queue_find_employers",
                after=self._after,
                claimants=CLAIMANTS,
                started=self._started and self._started[0],
                limit=limit,
                **self._attempts,
            ).fetchall()
            if not found:
                return False, []
            self._after = found[-1].employer_id
            ids = [row.employer_id for row in found]
            locked = _SQL.run(self._claim_connection, "queue_lock_employers", employers=ids).fetchall()
            claimed = _SQL.run(
                self._claim_connection,
                "queue_claim_rows",
                employers=[row.employer_id for row in locked],
                claimants=CLAIMANTS,
                loader=self._own_claims.name,
                process_id=self._process_id,
                lease=self._own_claims.lease,
            ).fetchall()
        return True, _group_by_employer(claimed)

    def save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Store the outcomes in one transaction. Return the IDs of employers whose customer number was rejected."""

        def save() -> set[UUID]:
            with self._save_connection.transaction():
                return self._save(outcomes)

        return _retry_on_deadlock(save)

    def _save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        numbered = [item for item in outcomes if isinstance(item, NumberAssigned)]
        refused = customer_numbers.store(self._save_connection, numbered) if numbered else set()
        loaded = [row for item in outcomes if isinstance(item, Loaded) for row in item.employer.rows]
        if loaded:
            removed = _SQL.run(
                self._save_connection, "queue_remove_done_rows", rows=sorted(loaded), loader=self._own_claims.name
            )
            if removed.rowcount < len(loaded):
                _log.warning("another loader claimed rows whose lease had expired", extra={"rows": len(loaded)})
        failed = [(row, item) for item in outcomes if isinstance(item, Failed) for row in item.employer.rows]
        if failed:
            _SQL.run(
                self._save_connection,
                "queue_return_failed_rows",
                rows=[row for row, _ in failed],
                errors=[item.error for _, item in failed],
                counts=[item.counts_as_attempt for _, item in failed],
                loader=self._own_claims.name,
            )
        return refused

    def renew(self) -> None:
        """Extend the claims of this loader."""
        self._own_claims.renew(self._save_connection)

    def release(self) -> None:
        """Release the rows that this loader still claims."""
        self._own_claims.release(self._save_connection)

    def close(self) -> None:
        """Close both connections."""
        self._save_connection.close()
        self._claim_connection.close()


def _set_autocommit(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    connection.autocommit = True
    connection.row_factory = namedtuple_row
    return connection


def _retry_on_deadlock(work: Callable[[], _Result]) -> _Result:
    """Run ``work`` and retry it after a deadlock with a loader that claims rows of this one."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return work()
        except psycopg.errors.DeadlockDetected:
            continue
    return work()


def _group_by_employer(claimed: Iterable[Any]) -> list[Employer]:
    """Build one employer from all its rows. Its oldest UPDATE row has the exemption that FINEOS has."""
    ordered = sorted(
        claimed, key=lambda row: (row.employer_id, row.modified_at is not None, row.modified_at, row.row_id)
    )
    return [_build_employer(list(group)) for _, group in groupby(ordered, key=lambda row: row.employer_id)]


def _build_employer(group: list[Any]) -> Employer:
    row = group[0]
    oldest = next((row for row in group if row.action == "UPDATE"), None)
    return Employer(
        employer_id=row.employer_id,
        fein=row.employer_fein,
        legal_name=row.employer_name or "",
        dba=row.employer_dba or "",
        customer_number=row.fineos_employer_id,
        is_new=any(row.action == "INSERT" for row in group),
        before=oldest
        and Exemption(oldest.family_before, oldest.medical_before, oldest.commence_before, oldest.cease_before),
        after=Exemption(
            row.family_exemption, row.medical_exemption, row.exemption_commence_date, row.exemption_cease_date
        ),
        rows=tuple(row.row_id for row in group),
        failures=min(row.attempts for row in group),
    )
