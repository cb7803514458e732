"""Lookup of customer numbers that are not in the database yet.

Each number is stored, so that it is looked up only once. (The old system repeated the lookup in every run.) A FEIN that
is unknown at FINEOS or belongs to several parties results in no number.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from paidleave.db.statements import Statements
from paidleave.fineos.client.errors import FineosError
from paidleave.fineos.settings import FineosClientSettings

if TYPE_CHECKING:
    from paidleave.fineos.client.client import FineosClient

MAX_CALLS_IN_FLIGHT = 16
_BATCH_EMPLOYERS = 500  # looked up before their numbers are stored

_SQL = Statements("paidleave.fineos.eligibility_feed")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UnnumberedEmployer:
    """An employer without a stored customer number."""

    employer_id: UUID
    fein: str


@dataclass(frozen=True, slots=True)
class LookupFailure:
    """A lookup that failed or returned an unusable result. ``error`` contains no personal data."""

    employer_id: UUID
    error: str


def resolve_numbers(
    connection: psycopg.Connection, settings: FineosClientSettings, employers: Iterable[UnnumberedEmployer]
) -> Iterator[LookupFailure]:
    """Query FINEOS for the numbers of ``employers``, store them, and yield the failures.

    ``connection`` must be in autocommit mode, so that each number is committed immediately.
    """
    iterator = iter(employers)
    outage: str | None = None
    while batch := list(islice(iterator, _BATCH_EMPLOYERS)):
        results: Sequence[int | str | None] = (
            asyncio.run(_read_numbers(settings, batch)) if outage is None else [outage] * len(batch)
        )
        errors: list[str] = []
        for employer, result in zip(batch, results, strict=True):
            if isinstance(result, int):
                result = _store(connection, employer, result)
            if result is not None:
                errors.append(result)
                yield LookupFailure(employer.employer_id, result)
        if len(errors) == _BATCH_EMPLOYERS:
            outage = errors[-1]  # FINEOS is unavailable. Calls for the other employers would take hours and fail.


async def _read_numbers(
    settings: FineosClientSettings, employers: Sequence[UnnumberedEmployer]
) -> Sequence[int | str | None]:
    """Return for each employer its number, None if it is unknown at FINEOS, or the kind of error."""
    # Import the client only when it is required: its libraries take a third of the startup time of a run, and most
    # runs have no number to look up.
    from paidleave.fineos.client.client import FineosClient

    async with FineosClient(settings, MAX_CALLS_IN_FLIGHT) as fineos:
        return await asyncio.gather(*(_read_number(fineos, employer.fein) for employer in employers))


async def _read_number(fineos: FineosClient, fein: str) -> int | str | None:
    try:
        numbers = {organization.customer_number for organization in await fineos.read_employer(fein)}
    except FineosError as error:
        return error.code
    if len(numbers) > 1:
        return "SeveralEmployersAtFineos"
    return numbers.pop() if numbers else None


def _store(connection: psycopg.Connection, employer: UnnumberedEmployer, number: int) -> str | None:
    try:
        _SQL.run(connection, "store_number", employer_id=employer.employer_id, fineos_employer_id=number)
    except psycopg.errors.UniqueViolation:
        _log.warning("FINEOS has the same number for two employers", extra={"fineos_employer_id": number})
        return "NumberOfAnotherEmployer"
    return None
