"""Source of the employers that are not at FINEOS yet, whether queued or not (mode only_new).

A loader holds an advisory lock on each employer that it processes. PostgreSQL releases the locks of a killed loader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row

from paidleave.db import locks
from paidleave.db.statements import Statements
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

_SEED = locks.NEW_EMPLOYER.seed
_SQL = Statements("paidleave.fineos.employers")


class NewEmployers:
    """One pass over the employers without a customer number. Each employer is attempted once."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._claim_connection, self._save_connection = connect(), connect()
        for connection in (self._claim_connection, self._save_connection):
            connection.autocommit = True
            connection.row_factory = namedtuple_row
        self._after = NO_EMPLOYER
        self._done: list[UUID] = []

    def count_waiting(self) -> WaitingEmployers:
        """Count the employers that are not at FINEOS."""
        (row,) = _SQL.run(self._claim_connection, "new_employers_count").fetchall()
        return WaitingEmployers(row.count)

    def claim(self, limit: int) -> Sequence[Employer]:
        """Lock up to ``limit`` employers for this process and return them."""
        done, self._done = self._done, []
        self._unlock(done)
        while candidates := self._lock(limit):
            self._after = candidates[-1].employer_id
            locked = [row.employer_id for row in candidates if row.is_locked]
            still_new = _SQL.run(self._claim_connection, "new_employers_still_new", employers=locked)
            new = {row.employer_id for row in still_new}
            self._unlock([employer for employer in locked if employer not in new])
            if new:
                return [
                    Employer(row.employer_id, row.employer_fein, row.employer_name or "", row.employer_dba or "", None)
                    for row in candidates
                    if row.employer_id in new
                ]
        return []

    def _lock(self, limit: int) -> list[Any]:
        """Try to lock the next employers in the order of IDs. Return them, locked or not."""
        return _SQL.run(
            self._claim_connection, "new_employers_lock", after=self._after, limit=limit, seed=_SEED
        ).fetchall()

    def _unlock(self, employers: Sequence[UUID]) -> None:
        if employers:
            _SQL.run(self._claim_connection, "new_employers_unlock", employers=list(employers), seed=_SEED)

    def save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Store the outcomes. Return the IDs of employers whose customer number was rejected."""
        numbered = [item for item in outcomes if isinstance(item, NumberAssigned)]
        refused = customer_numbers.store(self._save_connection, numbered) if numbered else set()
        self._done += [item.employer.employer_id for item in outcomes if isinstance(item, Loaded | Failed)]
        return refused

    def renew(self) -> None:
        """Do nothing. The locks last as long as the connection."""

    def release(self) -> None:
        """Do nothing. Closing the connection releases the locks."""

    def close(self) -> None:
        """Close both connections and thereby release the locks."""
        self._save_connection.close()
        self._claim_connection.close()
