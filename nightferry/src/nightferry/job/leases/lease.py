"""Takes a lease, renews it while the job works, and gives it back."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from nightferry.contract import LEASE_IN_DATABASE, LEASE_TABLE, LEASE_VARIABLE, OVERLAP_VARIABLE, ExitCode
from nightferry.job.errors import Stopped
from nightferry.job.leases.database import DatabaseLeases
from nightferry.job.leases.state import Found, LeaseError, LeasePlace, LeaseState
from nightferry.job.leases.stored import StoredLeases
from nightferry.job.redaction import describe
from nightferry.job.settings import JobSettings

_log = logging.getLogger("nightferry.job")

_CHANGES = 20
"""Attempts at a change that others always forestall."""


class Overlapping(Exception):
    """Another run holds the lease, and this start is to be skipped."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(f"{name} runs already ({owner}); this start is skipped")


class Replaced(Stopped):
    """A newer start of the same task takes this one's place."""


class LeaseLost(Stopped):
    """The lease could not be renewed in time, so another run may have begun. This one stops, as a failure."""

    exit_code = ExitCode.FAILURE


@dataclass(frozen=True)
class Timing:
    """In seconds: how long a lease lasts, when it is renewed, and how often a waiting start looks again."""

    lasts: float = 60
    renew: float = 15
    look: float = 3


class Lease:
    """The lease ``name`` as one run sees it. ``owner`` is the workflow execution, or the run itself."""

    def __init__(self, place: LeasePlace, name: str, owner: str, run: str, timing: Timing = Timing()) -> None:
        self.place = place
        self.name = name
        self.owner = owner.replace(" ", "_")
        self.run = run.replace(" ", "_")
        self.timing = timing

    def acquire(self, mode: Literal["skip", "queue", "replace"], wait: Callable[[float], object]) -> None:
        """Take the lease; ``wait`` waits for so many seconds. Raises Overlapping, Replaced or LeaseError."""
        asked = announced = False
        while True:
            found = self.place.read(self.name)
            state = found.state
            if state is None or not state.runs or state.expires_at <= found.now or state.owner == self.owner:
                if self.place.replace(self.name, found, self._taken(found)):
                    return
                continue
            if mode == "skip":
                raise Overlapping(self.name, state.owner)
            if mode == "replace":
                if asked and state.successor not in (None, self.run):
                    raise Replaced
                if state.successor != self.run:
                    asked = self.place.replace(self.name, found, replace(state, successor=self.run)) or asked
                    continue
            if not announced:
                _log.info("waiting for another run to end", extra={"event": "waiting", "holder": state.owner})
                announced = True
            wait(self.timing.look * random.uniform(0.7, 1.3))  # noqa: S311  # spreads requests, hides nothing

    def renew(self) -> None:
        """Make the lease last from now on. Raises Replaced or LeaseLost when this run must stop."""
        for _ in range(_CHANGES):
            found = self.place.read(self.name)
            state = found.state
            if state is None or self.run not in state.runs:
                raise LeaseLost
            if state.successor is not None:
                raise Replaced
            if self.place.replace(self.name, found, replace(state, renewed_at=found.now, expires_at=self._end(found))):
                return
        raise LeaseError(f"The lease {self.name} changes all the time.")

    def release(self) -> None:
        """Give the lease back, unless other processes of its owner work on."""
        for _ in range(_CHANGES):
            found = self.place.read(self.name)
            state = found.state
            if state is None or self.run not in state.runs:
                return
            left = tuple(run for run in state.runs if run != self.run)
            if self.place.replace(self.name, found, replace(state, runs=left) if left else None):
                return

    def _taken(self, found: Found) -> LeaseState:
        state = found.state
        shared = state is not None and state.owner == self.owner and state.expires_at > found.now
        others = tuple(run for run in state.runs if run != self.run) if state is not None and shared else ()
        acquired = state.acquired_at if state is not None and shared else found.now
        return LeaseState(self.owner, (*others, self.run), None, acquired, found.now, self._end(found))

    def _end(self, found: Found) -> datetime:
        return found.now + timedelta(seconds=self.timing.lasts)


def place_for(where: str | None, settings: JobSettings) -> LeasePlace:
    """Where ``NIGHTFERRY_LEASE`` says that leases are kept: ``database``, or a folder's location."""
    if where and where != LEASE_IN_DATABASE:
        return StoredLeases(where)
    connect: Any = getattr(settings, "connect", None)
    if connect is None:
        raise LeaseError(
            f"{type(settings).__name__} cannot connect to a database to keep its lease in. "
            f"Set {LEASE_VARIABLE} to a folder (s3://… or a path), or {OVERLAP_VARIABLE} to allow."
        )
    return DatabaseLeases(connect)


@contextmanager
def hold(
    lease: Lease,
    mode: Literal["skip", "queue", "replace"],
    wait: Callable[[float], object],
    stop: Callable[[type[Stopped]], None],
) -> Iterator[None]:
    """Hold the lease during the block, renewed by a thread; ``stop`` is called when the run must end."""
    try:
        lease.acquire(mode, wait)
    except Exception as error:
        if getattr(error, "sqlstate", None) != "42P01":  # undefined_table
            raise
        _log.warning("no table %s yet: working without a lease", LEASE_TABLE, extra={"event": "no_lease"})
        yield
        return
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, ended, stop), name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join(timeout=lease.timing.renew)
        try:
            lease.release()
        except Exception as error:
            _log.warning("the lease was not given back and runs out by itself: %s", describe(error))


def _keep(lease: Lease, ended: threading.Event, stop: Callable[[type[Stopped]], None]) -> None:
    failed = 0.0
    while not ended.wait(lease.timing.renew):
        try:
            lease.renew()
            failed = 0.0
        except Stopped as reason:
            _log.error("this run must stop: %s", type(reason).__doc__, extra={"event": type(reason).__name__.lower()})
            stop(type(reason))
            return
        except Exception as error:
            failed += lease.timing.renew
            _log.warning("the lease was not renewed: %s", describe(error))
            if failed + lease.timing.renew >= lease.timing.lasts:
                _log.error("this run must stop: %s", LeaseLost.__doc__, extra={"event": "leaselost"})
                stop(LeaseLost)
                return
