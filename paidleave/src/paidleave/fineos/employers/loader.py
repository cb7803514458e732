"""The loader's pipeline, all in one event loop, with database work in two threads of its own.

::

    source.claim → ready → workers (several for each call in flight) → outbox → source.save

A worker takes one employer through its calls; while it waits for a commit, which may take longer than a call, others
keep the connections busy. What they put into the outbox is committed together, several times a second, so that the
database sees few round trips. A worker waits until its employer's number is stored before it goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from paidleave.fineos.client.client import FineosClient
from paidleave.fineos.client.errors import FineosAuthenticationFailed, FineosError, FineosUnavailable
from paidleave.fineos.client.messages import Party, ServiceAgreement, xml_text
from paidleave.fineos.client.party_fields import Value
from paidleave.fineos.client.service_agreements import MissingCommenceDate, changed_agreement, new_agreement
from paidleave.fineos.employers.source import Employer, EmployerSource, Failed, Loaded, Numbered, Outcome

_WORKERS = 4  # for each call in flight
_POLL = 0.25  # seconds between looks at employers that other loaders have in hand
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class NotLoadable(Exception):
    """The employer's own data keep it from being loaded; the message names the reason, without the data."""


class FineosOutOfOrder(Exception):
    """So many employers in a row failed because FINEOS was unavailable that trying the others is of no use now."""


@dataclass
class LoadCounts:
    """Counts of what a run did."""

    loaded: int = 0
    failed: int = 0
    parked: int = 0
    """Of those that failed, the ones that had been parked before this run."""
    agreements: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Loader:
    """Takes employers from a source to FINEOS until nothing is left or ``limit`` employers were taken."""

    def __init__(
        self,
        source: EmployerSource,
        fineos: FineosClient,
        *,
        concurrency: int,
        lease: float,
        limit: int | None = None,
        attempt_limit: int = 3,
        advance: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a loader.

        ``lease``: seconds for which a claim lasts; ``attempt_limit``: failures that park an employer; ``advance`` is
        called after each employer.
        """
        self._source = source
        self._fineos = fineos
        self._concurrency = concurrency
        self._lease = lease
        self._limit = limit
        self._attempt_limit = attempt_limit
        self._advance = advance
        self._ready: asyncio.Queue[Employer | None] = asyncio.Queue(maxsize=_WORKERS * concurrency)
        self._outbox: asyncio.Queue[tuple[Outcome, asyncio.Future[bool]]] = asyncio.Queue()
        self._claims = ThreadPoolExecutor(1, "claims")
        self._saves = ThreadPoolExecutor(1, "saves")
        self._unavailable_in_a_row = 0
        self.counts = LoadCounts()

    async def run(self) -> None:
        """Load. What is in hand when this ends early is given back.

        Raises FineosAuthenticationFailed and FineosOutOfOrder, which concern all employers.
        """
        helpers = [asyncio.create_task(self._save_outbox()), asyncio.create_task(self._renew())]
        work = [asyncio.create_task(self._claim()), *(asyncio.create_task(self._work()) for _ in range(self._workers))]
        try:
            await _first_failure(work, helpers)
        finally:
            # Whatever is being saved is saved to its end: a thread cannot be cancelled.
            for task in (*work, *helpers):
                task.cancel()
            await asyncio.gather(*work, *helpers, return_exceptions=True)
            await self._in_thread(self._saves, self._give_back)
            self._claims.shutdown()
            self._saves.shutdown()

    @property
    def _workers(self) -> int:
        return _WORKERS * self._concurrency

    async def _claim(self) -> None:
        left = self._limit
        while left is None or left > 0:
            batch = self._workers if left is None else min(left, self._workers)
            employers = await self._in_thread(self._claims, partial(self._source.claim, batch))
            for employer in employers:
                await self._ready.put(employer)
            if left is not None:
                left -= len(employers)
            if not employers:
                # Another loader may die with employers in hand: the last one to end looks after them.
                waiting = await self._in_thread(self._claims, self._source.waiting)
                if not waiting.in_other_hands:
                    break
                await asyncio.sleep(_POLL)
        for _ in range(self._workers):
            await self._ready.put(None)

    async def _work(self) -> None:
        while (employer := await self._ready.get()) is not None:
            outcome = await self._outcome(employer)
            self._count(outcome)
            await self._save(outcome)
            self._advance()
            if self._unavailable_in_a_row >= 2 * self._concurrency:
                raise FineosOutOfOrder(f"{self._unavailable_in_a_row} employers in a row met an unavailable FINEOS")

    async def _outcome(self, employer: Employer) -> Loaded | Failed:
        try:
            await self._load(employer)
        except FineosAuthenticationFailed:
            raise
        except FineosUnavailable as error:
            self._unavailable_in_a_row += 1
            return self._failed(employer, error.code, counts=False)
        except FineosError as error:
            self._unavailable_in_a_row = 0
            return self._failed(employer, error.code)
        except (NotLoadable, MissingCommenceDate) as error:
            return self._failed(employer, f"{type(error).__name__}: {error}")
        self._unavailable_in_a_row = 0
        return Loaded(employer)

    def _failed(self, employer: Employer, error: str, *, counts: bool = True) -> Failed:
        _log.error(
            "employer not loaded",
            extra={"employer_id": str(employer.employer_id), "error": error, "in_a_row": self._unavailable_in_a_row},
        )
        return Failed(employer, error, counts)

    def _count(self, outcome: Loaded | Failed) -> None:
        match outcome:
            case Loaded():
                self.counts.loaded += 1
            case Failed(employer=employer, error=error):
                self.counts.failed += 1
                self.counts.parked += employer.failures >= self._attempt_limit
                self.counts.errors[error] += 1

    # --- one employer ------------------------------------------------------------------------------------------

    async def _load(self, employer: Employer) -> None:
        """The calls for one employer: read what must be kept, create or update, set the service agreement."""
        party = _party(employer, await self._kept(employer))
        number = await self._fineos.create_or_update_party(party)
        if employer.customer_number is None:
            if not await self._save(Numbered(employer, number)):
                raise NotLoadable("FINEOS gave it the number of another employer")
        elif number != employer.customer_number:
            raise NotLoadable("FINEOS updated an employer with another number than the database has")
        if agreement := _agreement(employer):
            if await self._fineos.set_service_agreement(number, agreement) != number:
                raise NotLoadable("FINEOS set the service agreement of another employer")
            self.counts.agreements += 1

    async def _kept(self, employer: Employer) -> dict[str, Value]:
        """What FINEOS knows of the employer and an update must send back, so that it stays."""
        if employer.customer_number is None:
            return {}
        found = await self._fineos.read_employer(employer.fein)
        for organisation in found:
            if organisation.customer_number == employer.customer_number:
                return dict(organisation.kept)
        if found:
            raise NotLoadable("FINEOS knows it under another number than the database")
        _log.warning(
            "FINEOS does not know an employer that it gave a number; creating it again",
            extra={"employer_id": str(employer.employer_id), "fineos_employer_id": employer.customer_number},
        )
        return {}

    # --- the database --------------------------------------------------------------------------------------------

    async def _save(self, outcome: Outcome) -> bool:
        """Have ``outcome`` committed; False when it is a number that another employer has already."""
        saved: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._outbox.put_nowait((outcome, saved))
        return await saved

    async def _save_outbox(self) -> None:
        while True:
            batch = [await self._outbox.get()]
            while not self._outbox.empty():
                batch.append(self._outbox.get_nowait())
            outcomes = [outcome for outcome, _ in batch]
            refused = await self._in_thread(self._saves, partial(self._source.save, outcomes))
            for outcome, saved in batch:
                if not saved.done():
                    saved.set_result(outcome.employer.employer_id not in refused)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 4)
            await self._in_thread(self._saves, self._source.renew)

    def _give_back(self) -> None:
        self._claims.shutdown()  # a claim that was running is committed now
        left = []
        while not self._outbox.empty():
            left.append(self._outbox.get_nowait()[0])
        if left:
            self._source.save(left)
        self._source.release()

    @staticmethod
    async def _in_thread(thread: ThreadPoolExecutor, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(thread, work)


def _party(employer: Employer, kept: dict[str, Value]) -> Party:
    """The employer as FINEOS is to get it. DOR may send no DBA, which FINEOS wants: then it is the legal name."""
    name, dba = xml_text(employer.legal_name).strip(), xml_text(employer.dba).strip()
    if not name:
        raise NotLoadable("it has no legal name")
    if not (len(employer.fein) == 9 and employer.fein.isascii() and employer.fein.isdecimal()):
        raise NotLoadable("its employer identification number has not nine digits")
    return Party(str(employer.employer_id), employer.fein, name, dba or name, kept)


def _agreement(employer: Employer) -> ServiceAgreement | None:
    if employer.after is None:
        return None
    if employer.is_new:
        return new_agreement(employer.after)
    return changed_agreement(employer.before, employer.after) if employer.before else None


async def _first_failure(work: list[asyncio.Task[None]], helpers: list[asyncio.Task[None]]) -> None:
    """Wait until all ``work`` has ended, or anything failed: then raise that."""
    waiting: set[asyncio.Task[None]] = {*work, *helpers}
    while any(not task.done() for task in work):
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
