"""The employers' numbers at FINEOS, asked for where the database doesn't have them, and kept there.

The old system asked again on every run; here the answer is stored, so that each employer is asked for once. A FEIN
that FINEOS doesn't know, or that several of its parties share, gives no number.
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

IN_FLIGHT = 16
_AT_ONCE = 500  # employers asked for before their answers are stored

_SQL = Statements("paidleave.fineos.eligibility_feed")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """An employer whose number we don't know."""

    employer_id: UUID
    fein: str


@dataclass(frozen=True, slots=True)
class Failure:
    """FINEOS could not be asked, or its answer cannot be used; ``error`` holds nothing personal."""

    employer_id: UUID
    error: str


def look_up(
    connection: psycopg.Connection, settings: FineosClientSettings, employers: Iterable[Unnumbered]
) -> Iterator[Failure]:
    """Ask FINEOS for the numbers of ``employers`` and store what it answers; yields where that failed.

    ``connection`` must be in autocommit mode: each answer is kept at once.
    """
    iterator = iter(employers)
    given_up: str | None = None
    while some := list(islice(iterator, _AT_ONCE)):
        answers: Sequence[int | str | None] = (
            asyncio.run(_ask(settings, some)) if given_up is None else [given_up] * len(some)
        )
        errors: list[str] = []
        for employer, answer in zip(some, answers, strict=True):
            if isinstance(answer, int):
                answer = _store(connection, employer, answer)
            if answer is not None:
                errors.append(answer)
                yield Failure(employer.employer_id, answer)
        if len(errors) == _AT_ONCE:
            given_up = errors[-1]  # FINEOS is away: asking for every other employer, too, would only take hours


async def _ask(settings: FineosClientSettings, employers: Sequence[Unnumbered]) -> Sequence[int | str | None]:
    """For each employer its number, None when FINEOS doesn't know it, or the kind of error."""
    # Most runs know every number already; the client's libraries are a third of the time that a run takes to start.
    from paidleave.fineos.client.client import FineosClient

    async with FineosClient(settings, IN_FLIGHT) as fineos:
        return await asyncio.gather(*(_number(fineos, employer.fein) for employer in employers))


async def _number(fineos: FineosClient, fein: str) -> int | str | None:
    try:
        numbers = {organisation.customer_number for organisation in await fineos.read_employer(fein)}
    except FineosError as error:
        return error.code
    if len(numbers) > 1:
        return "SeveralEmployersAtFineos"
    return numbers.pop() if numbers else None


def _store(connection: psycopg.Connection, employer: Unnumbered, number: int) -> str | None:
    try:
        _SQL.run(connection, "store_number", employer_id=employer.employer_id, fineos_employer_id=number)
    except psycopg.errors.UniqueViolation:
        _log.warning("FINEOS has one number for two employers", extra={"fineos_employer_id": number})
        return "NumberOfAnotherEmployer"
    return None
