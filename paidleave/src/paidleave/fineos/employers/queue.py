"""The employers in ``employer_push_to_fineos_queue``, claimed so that any number of loaders share them.

- A claim takes an employer with all its rows: it locks the employer's row (``skip locked``), writes the loader's name
  and the end of its lease on the rows, and commits. So two loaders never work on one employer, and rows that arrive
  while it is being worked on wait for the next claim.
- Rows of a loader that died are free at once; those of one that hangs, when the lease is over
  (:mod:`paidleave.db.claims`).
- Rows that the old system's processes left behind have a process id, but no lease: they are free.
- An employer that failed is not tried again by loaders that were running then; a later loader tries it again. After
  ``attempt_limit`` failures it is parked: tried again once in ``parked_hours``, or as soon as DOR sends a change.
- Rows leave when their employer is at FINEOS, when the employer does not exist, and when they ask for a deletion.
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
from paidleave.fineos.employers import vendor_numbers
from paidleave.fineos.employers.source import NO_EMPLOYER, Employer, Failed, Loaded, Numbered, Outcome, WaitingEmployers
from paidleave.fineos.settings import LoadEmployersSettings

_ATTEMPTS = 5
_SQL = Statements("paidleave.fineos.employers")
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class EmployerQueue:
    """The queue, as one loader sees it. Makes two connections, one for claims and one for what comes of them."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], settings: LoadEmployersSettings) -> None:
        self._claims = _autocommitting(connect())
        self._saves = _autocommitting(connect())
        self._process_id = settings.process_id
        self._attempts = {
            "attempt_limit": settings.employer_load_attempt_limit,
            "parked_for": timedelta(hours=settings.employer_load_parked_hours),
        }
        lease = timedelta(seconds=settings.employer_load_lease_seconds)
        self._mine = Claims("employer_push_to_fineos_queue", f"loader {secrets.token_hex(8)}", lease)
        self._mine.announce(self._claims)
        self._started = self._claims.execute("SELECT clock_timestamp()").fetchone()
        self._after = NO_EMPLOYER

    def remove_void_rows(self) -> dict[str, int]:
        """Remove rows that no call can come of; returns how many, by reason."""
        (removed,) = _repeated(lambda: _SQL.run(self._claims, "queue_remove_void_rows").fetchall())
        return {"deletions": removed.deletions, "without_employer": removed.without_employer}

    def waiting(self) -> WaitingEmployers:
        """Count the rows of the queue by state."""
        values = {"loader": self._mine.name, "claimants": CLAIMANTS, **self._attempts}
        (count,) = _SQL.run(self._claims, "queue_count", **values).fetchall()
        return WaitingEmployers(count.waiting, count.parked, count.newly_parked, count.in_hand)

    def claim(self, limit: int) -> Sequence[Employer]:
        """Claim the rows of up to ``limit`` employers for this loader, and return the employers."""
        from_start = self._after == NO_EMPLOYER
        while True:
            found, claimed = self._claim(limit)
            if claimed:
                return claimed
            if not found:
                # The end of the queue: what came up or was freed behind us since is left, if anything.
                self._after = NO_EMPLOYER
                if from_start:
                    return []
                from_start = True

    def _claim(self, limit: int) -> tuple[bool, list[Employer]]:
        """One step along the queue: whether employers were found, and those that are ours now."""
        with self._claims.transaction():
            found = _SQL.run(
                self._claims,
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
            locked = _SQL.run(self._claims, "queue_lock_employers", employers=ids).fetchall()
            claimed = _SQL.run(
                self._claims,
                "queue_claim_rows",
                employers=[row.employer_id for row in locked],
                claimants=CLAIMANTS,
                loader=self._mine.name,
                process_id=self._process_id,
                lease=self._mine.lease,
            ).fetchall()
        return True, _employers(claimed)

    def save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Store the outcomes in one transaction; return the employers whose vendor number was refused."""

        def save() -> set[UUID]:
            with self._saves.transaction():
                return self._save(outcomes)

        return _repeated(save)

    def _save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        numbered = [item for item in outcomes if isinstance(item, Numbered)]
        refused = vendor_numbers.store(self._saves, numbered) if numbered else set()
        loaded = [row for item in outcomes if isinstance(item, Loaded) for row in item.employer.rows]
        if loaded:
            removed = _SQL.run(self._saves, "queue_remove_done_rows", rows=sorted(loaded), loader=self._mine.name)
            if removed.rowcount < len(loaded):
                _log.warning("another loader took over rows whose lease was over", extra={"rows": len(loaded)})
        failed = [(row, item) for item in outcomes if isinstance(item, Failed) for row in item.employer.rows]
        if failed:
            _SQL.run(
                self._saves,
                "queue_return_failed_rows",
                rows=[row for row, _ in failed],
                errors=[item.error for _, item in failed],
                counts=[item.counts for _, item in failed],
                loader=self._mine.name,
            )
        return refused

    def renew(self) -> None:
        """Extend the claims of this loader."""
        self._mine.renew(self._saves)

    def release(self) -> None:
        """Make the rows free that this loader still claims."""
        self._mine.release(self._saves)

    def close(self) -> None:
        """Close both connections."""
        self._saves.close()
        self._claims.close()


def _autocommitting(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    connection.autocommit = True
    connection.row_factory = namedtuple_row
    return connection


def _repeated(work: Callable[[], _Result]) -> _Result:
    """Do ``work``, again when PostgreSQL ended it for a deadlock with a loader that takes over rows of ours."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return work()
        except psycopg.errors.DeadlockDetected:
            continue
    return work()


def _employers(claimed: Iterable[Any]) -> list[Employer]:
    """One employer from all its rows. What FINEOS has is what its oldest UPDATE row remembers."""
    ordered = sorted(
        claimed, key=lambda row: (row.employer_id, row.modified_at is not None, row.modified_at, row.row_id)
    )
    return [_employer(list(group)) for _, group in groupby(ordered, key=lambda row: row.employer_id)]


def _employer(group: list[Any]) -> Employer:
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
