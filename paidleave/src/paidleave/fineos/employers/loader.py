"""The pipeline of the loader. It runs in one event loop; two threads do the database work.

::

    source.claim → ready → workers (several per concurrent call) → outbox → source.save

A worker makes the calls for one employer. A commit can take longer than a call, so while one worker waits for it,
others use the connections. One commit stores all outcomes in the outbox, at most twenty times per second, to save round
trips. A worker continues only after its employer's customer number is stored.
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
from paidleave.fineos.client.messages import Party, ServiceAgreement, replace_invalid_characters
from paidleave.fineos.client.party_fields import Value
from paidleave.fineos.client.party_names import is_too_long
from paidleave.fineos.client.service_agreements import (
    MissingCommenceDate,
    UnknownExemption,
    build_changed_agreement,
    build_new_agreement,
)
from paidleave.fineos.employers.source import Employer, EmployerSource, Failed, Loaded, NumberAssigned, Outcome

_WORKERS_PER_CALL = 4
_COMMIT_PAUSE_SECONDS = 0.05
"""The pause after a commit, in which outcomes for the next one arrive.

A commit costs about the same for one outcome as for ten. There are enough workers to use all connections meanwhile.
"""
_POLL_SECONDS = 0.25  # between checks for employers that other loaders still claim
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class NotLoadable(Exception):
    """The employer cannot be loaded because of its data. The message is the reason, without the data."""


class FineosOutage(Exception):
    """FINEOS was unavailable for so many employers in a row that the load was aborted."""


@dataclass
class LoadCounts:
    """Counts of the outcomes of a run."""

    loaded: int = 0
    failed: int = 0
    parked: int = 0
    """Failed employers that had been parked before this run."""
    agreements: int = 0
    cut_names: int = 0
    """Employers whose name or DBA is longer than FINEOS accepts."""
    errors: Counter[str] = field(default_factory=Counter)


class Loader:
    """Loads employers from a source into FINEOS until none is left or ``limit`` is reached."""

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
        """Create a loader.

        Args:
            source: Provides the employers.
            fineos: The client.
            concurrency: Maximum concurrent calls to FINEOS.
            lease: Duration of a claim in seconds.
            limit: Maximum employers to load (default: all).
            attempt_limit: Failures after which an employer is parked.
            advance: Called after each employer.
        """
        self._source = source
        self._fineos = fineos
        self._concurrency = concurrency
        self._lease = lease
        self._limit = limit
        self._attempt_limit = attempt_limit
        self._advance = advance
        self._ready: asyncio.Queue[Employer | None] = asyncio.Queue(maxsize=_WORKERS_PER_CALL * concurrency)
        self._outbox: asyncio.Queue[tuple[Outcome, asyncio.Future[bool]]] = asyncio.Queue()
        self._claims = ThreadPoolExecutor(1, "claims")
        self._saves = ThreadPoolExecutor(1, "saves")
        self._unavailable_in_a_row = 0
        self.counts = LoadCounts()

    async def run(self) -> None:
        """Load the employers. Release the remaining claims if the load ends early.

        Raises:
            FineosAuthenticationFailed: FINEOS rejected the credentials.
            FineosOutage: FINEOS is unavailable.
        """
        helpers = [asyncio.create_task(self._save_outbox()), asyncio.create_task(self._renew_claims())]
        work = [asyncio.create_task(self._claim()), *(asyncio.create_task(self._work()) for _ in range(self._workers))]
        try:
            await _wait_for_work(work, helpers)
        finally:
            # A thread cannot be canceled, so a running save ends first.
            for task in (*work, *helpers):
                task.cancel()
            await asyncio.gather(*work, *helpers, return_exceptions=True)
            await self._run_in_thread(self._saves, self._release_claims)
            self._claims.shutdown()
            self._saves.shutdown()

    @property
    def _workers(self) -> int:
        return _WORKERS_PER_CALL * self._concurrency

    async def _claim(self) -> None:
        left = self._limit
        while left is None or left > 0:
            batch = self._workers if left is None else min(left, self._workers)
            employers = await self._run_in_thread(self._claims, partial(self._source.claim, batch))
            for employer in employers:
                await self._ready.put(employer)
            if left is not None:
                left -= len(employers)
            if not employers:
                # Another loader can be killed while it claims employers. The last loader to end loads them.
                waiting = await self._run_in_thread(self._claims, self._source.count_waiting)
                if not waiting.claimed_by_others:
                    break
                await asyncio.sleep(_POLL_SECONDS)
        for _ in range(self._workers):
            await self._ready.put(None)

    async def _work(self) -> None:
        while (employer := await self._ready.get()) is not None:
            outcome = await self._load_and_classify(employer)
            self._count_outcome(outcome)
            await self._save(outcome)
            self._advance()
            if self._unavailable_in_a_row >= 2 * self._concurrency:
                raise FineosOutage(f"FINEOS was unavailable for {self._unavailable_in_a_row} employers in a row")

    async def _load_and_classify(self, employer: Employer) -> Loaded | Failed:
        try:
            await self._load(employer)
        except FineosAuthenticationFailed:
            raise
        except FineosUnavailable as error:
            self._unavailable_in_a_row += 1
            return self._record_failure(employer, error.code, counts_as_attempt=False)
        except FineosError as error:
            self._unavailable_in_a_row = 0
            return self._record_failure(employer, error.code)
        except (NotLoadable, MissingCommenceDate, UnknownExemption) as error:
            return self._record_failure(employer, f"{type(error).__name__}: {error}")
        self._unavailable_in_a_row = 0
        return Loaded(employer)

    def _record_failure(self, employer: Employer, error: str, *, counts_as_attempt: bool = True) -> Failed:
        _log.error(
            "employer not loaded",
            extra={"employer_id": str(employer.employer_id), "error": error, "in_a_row": self._unavailable_in_a_row},
        )
        return Failed(employer, error, counts_as_attempt)

    def _count_outcome(self, outcome: Loaded | Failed) -> None:
        match outcome:
            case Loaded():
                self.counts.loaded += 1
            case Failed(employer=employer, error=error):
                self.counts.failed += 1
                self.counts.parked += employer.failures >= self._attempt_limit
                self.counts.errors[error] += 1

    # --- one employer ------------------------------------------------------------------------------------------

    async def _load(self, employer: Employer) -> None:
        """Make the calls for one employer: read the fields to preserve, create or update, set the agreement."""
        party = _build_party(employer, await self._read_preserved_fields(employer))
        if cut := [field for field in ("legal_name", "dba") if is_too_long(getattr(party, field))]:
            self.counts.cut_names += 1
            _log.warning(
                "the employer's name is longer than FINEOS accepts and is sent cut",
                extra={"employer_id": str(employer.employer_id), "fields": cut},
            )
        number = await self._fineos.create_or_update_party(party)
        if employer.customer_number is None:
            if not await self._save(NumberAssigned(employer, number)):
                raise NotLoadable("FINEOS returned the number of another employer")
        elif number != employer.customer_number:
            raise NotLoadable("FINEOS updated an employer with a different number than in the database")
        if agreement := _build_agreement(employer):
            if await self._fineos.set_service_agreement(number, agreement) != number:
                raise NotLoadable("FINEOS set the service agreement of another employer")
            self.counts.agreements += 1

    async def _read_preserved_fields(self, employer: Employer) -> dict[str, Value]:
        """Read the fields at FINEOS that an update must repeat to preserve them."""
        if employer.customer_number is None:
            return {}
        found = await self._fineos.read_employer(employer.fein)
        for organization in found:
            if organization.customer_number == employer.customer_number:
                return dict(organization.preserved)
        if found:
            raise NotLoadable("FINEOS has a different number for the employer than the database")
        _log.warning(
            "FINEOS has no employer with the stored customer number; creating it again",
            extra={"employer_id": str(employer.employer_id), "fineos_employer_id": employer.customer_number},
        )
        return {}

    # --- the database --------------------------------------------------------------------------------------------

    async def _save(self, outcome: Outcome) -> bool:
        """Wait until ``outcome`` is committed. Return False if it is a number that another employer already has."""
        saved: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._outbox.put_nowait((outcome, saved))
        return await saved

    async def _save_outbox(self) -> None:
        while True:
            batch = [await self._outbox.get()]
            while not self._outbox.empty():
                batch.append(self._outbox.get_nowait())
            outcomes = [outcome for outcome, _ in batch]
            refused = await self._run_in_thread(self._saves, partial(self._source.save, outcomes))
            for outcome, saved in batch:
                if not saved.done():
                    saved.set_result(outcome.employer.employer_id not in refused)
            await asyncio.sleep(_COMMIT_PAUSE_SECONDS)

    async def _renew_claims(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 4)
            await self._run_in_thread(self._saves, self._source.renew)

    def _release_claims(self) -> None:
        self._claims.shutdown()  # waits until a running claim is committed
        left = []
        while not self._outbox.empty():
            left.append(self._outbox.get_nowait()[0])
        if left:
            self._source.save(left)
        self._source.release()

    @staticmethod
    async def _run_in_thread(thread: ThreadPoolExecutor, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(thread, work)


def _build_party(employer: Employer, preserved: dict[str, Value]) -> Party:
    """Build the party of the employer. The legal name replaces a missing DBA because FINEOS requires one."""
    name, dba = (
        replace_invalid_characters(employer.legal_name).strip(),
        replace_invalid_characters(employer.dba).strip(),
    )
    if not name:
        raise NotLoadable("the employer has no legal name")
    if not (len(employer.fein) == 9 and employer.fein.isascii() and employer.fein.isdecimal()):
        raise NotLoadable("the FEIN does not have nine digits")
    return Party(str(employer.employer_id), employer.fein, name, dba or name, preserved)


def _build_agreement(employer: Employer) -> ServiceAgreement | None:
    if employer.after is None:
        return None
    if employer.is_new:
        return build_new_agreement(employer.after)
    return build_changed_agreement(employer.before, employer.after) if employer.before else None


async def _wait_for_work(work: list[asyncio.Task[None]], helpers: list[asyncio.Task[None]]) -> None:
    """Wait until all ``work`` has ended, or raise the first failure of a task."""
    waiting: set[asyncio.Task[None]] = {*work, *helpers}
    while any(not task.done() for task in work):
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
