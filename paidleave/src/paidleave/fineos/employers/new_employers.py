"""The employers that FINEOS does not know yet, whether queued or not (mode only_new).

A loader holds an advisory lock on each employer that it works on; PostgreSQL drops the locks of a loader that dies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row

from paidleave.db import locks
from paidleave.db.statements import Statements
from paidleave.fineos.employers import vendor_numbers
from paidleave.fineos.employers.source import NO_EMPLOYER, Employer, Failed, Loaded, Numbered, Outcome, WaitingEmployers

_SEED = locks.NEW_EMPLOYER.seed
_SQL = Statements("paidleave.fineos.employers")


class NewEmployers:
    """One pass over the employers without a vendor's number, each tried once."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._claims, self._saves = connect(), connect()
        for connection in (self._claims, self._saves):
            connection.autocommit = True
            connection.row_factory = namedtuple_row
        self._after = NO_EMPLOYER
        self._done: list[UUID] = []

    def waiting(self) -> WaitingEmployers:
        """Count the employers that wait."""
        (row,) = _SQL.run(self._claims, "new_employers_count").fetchall()
        return WaitingEmployers(row.count)

    def claim(self, limit: int) -> Sequence[Employer]:
        """Lock up to ``limit`` employers for this process, and return them."""
        done, self._done = self._done, []
        self._unlock(done)
        while candidates := self._lock(limit):
            self._after = candidates[-1].employer_id
            locked = [row.employer_id for row in candidates if row.is_mine]
            still_new = _SQL.run(self._claims, "new_employers_still_new", employers=locked)
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
        """Try to lock the employers after the last one that was found; return them, locked or not."""
        return _SQL.run(self._claims, "new_employers_lock", after=self._after, limit=limit, seed=_SEED).fetchall()

    def _unlock(self, employers: Sequence[UUID]) -> None:
        if employers:
            _SQL.run(self._claims, "new_employers_unlock", employers=list(employers), seed=_SEED)

    def save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Store the outcomes; return the employers whose vendor number was refused."""
        numbered = [item for item in outcomes if isinstance(item, Numbered)]
        refused = vendor_numbers.store(self._saves, numbered) if numbered else set()
        self._done += [item.employer.employer_id for item in outcomes if isinstance(item, Loaded | Failed)]
        return refused

    def renew(self) -> None:
        """Do nothing: the locks last as long as the connection."""

    def release(self) -> None:
        """Do nothing: closing the connection releases the locks."""

    def close(self) -> None:
        """Close both connections; this releases the locks."""
        self._saves.close()
        self._claims.close()
