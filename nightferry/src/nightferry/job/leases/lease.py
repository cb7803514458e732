"""Acquire a lease, renew it while the job runs, and release it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from nightferry.contract import LEASE_IN_DATABASE, LEASE_VARIABLE, OVERLAP_VARIABLE, ExitCode
from nightferry.job.errors import Stopped
from nightferry.job.leases.database import DatabaseLeases, HasDatabase
from nightferry.job.leases.state import LeaseError, LeaseSnapshot, LeaseState, LeaseStore
from nightferry.job.leases.stored import StoredLeases
from nightferry.job.redaction import describe_error
from nightferry.job.settings import JobSettings

_log = logging.getLogger("nightferry.job")

_MAX_ATTEMPTS = 20
"""Attempts to change a lease that other processes change at the same time."""


class StartSkipped(Exception):
    """Another run holds the lease, so this start is skipped."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(f"{name} is already running ({owner}); this start is skipped")


class Replaced(Stopped):
    """A newer start of the same task replaces this run."""


class LeaseLost(Stopped):
    """The lease was not renewed in time, so another run may have started. This run fails."""

    exit_code = ExitCode.FAILURE


@dataclass(frozen=True)
class LeaseTiming:
    """Seconds until a lease expires, between renewals, and between polls of a waiting start."""

    duration: float = 60
    renew_interval: float = 15
    poll_interval: float = 3


class Lease:
    """The lease ``name`` from the view of one run; ``owner`` is its workflow execution, or the run itself."""

    def __init__(self, store: LeaseStore, name: str, owner: str, run: str, timing: LeaseTiming = LeaseTiming()) -> None:
        self.store = store
        self.name = name
        self.owner = owner.replace(" ", "_")
        self.run = run.replace(" ", "_")
        self.timing = timing

    def acquire(self, mode: Literal["skip", "queue", "replace"], wait: Callable[[float], object]) -> None:
        """Acquire the lease according to the overlap policy ``mode``.

        Args:
            mode: The overlap policy.
            wait: Sleeps for the given number of seconds between polls.

        Raises:
            StartSkipped: Another run holds the lease, and ``mode`` is ``skip``.
            Replaced: A newer start of the same task replaces this one.
            LeaseError: The lease cannot be read or written.
        """
        requested = announced = False
        while True:
            found = self.store.read(self.name)
            state = found.state
            if state is None or not state.runs or state.expires_at <= found.now or state.owner == self.owner:
                if self.store.replace(self.name, found, self._make_acquired_state(found)):
                    return
                continue
            if mode == "skip":
                raise StartSkipped(self.name, state.owner)
            if mode == "replace":
                if requested and state.successor not in (None, self.run):
                    raise Replaced
                if state.successor != self.run:
                    requested = self.store.replace(self.name, found, replace(state, successor=self.run)) or requested
                    continue
            if not announced:
                _log.info("waiting for the other run to end", extra={"event": "waiting", "holder": state.owner})
                announced = True
            wait(self.timing.poll_interval * random.uniform(0.7, 1.3))  # noqa: S311  # not a secret

    def renew(self) -> None:
        """Extend the lease by its duration.

        Raises:
            Replaced: A newer start replaces this run, which must stop.
            LeaseLost: The run no longer holds the lease and must stop.
            LeaseError: The lease cannot be read or written.
        """
        for _ in range(_MAX_ATTEMPTS):
            found = self.store.read(self.name)
            state = found.state
            if state is None or self.run not in state.runs:
                raise LeaseLost
            if state.successor is not None:
                raise Replaced
            if self.store.replace(
                self.name, found, replace(state, renewed_at=found.now, expires_at=self._compute_expiry(found))
            ):
                return
        raise LeaseError(
            f"Cannot renew the lease {self.name}: {_MAX_ATTEMPTS} attempts conflicted with changes by other runs."
        )

    def release(self) -> None:
        """Release the lease, or only this run's share if other processes of its owner are running."""
        for _ in range(_MAX_ATTEMPTS):
            found = self.store.read(self.name)
            state = found.state
            if state is None or self.run not in state.runs:
                return
            left = tuple(run for run in state.runs if run != self.run)
            if self.store.replace(self.name, found, replace(state, runs=left) if left else None):
                return

    def _make_acquired_state(self, found: LeaseSnapshot) -> LeaseState:
        state = found.state
        shared = state is not None and state.owner == self.owner and state.expires_at > found.now
        others = tuple(run for run in state.runs if run != self.run) if state is not None and shared else ()
        acquired = state.acquired_at if state is not None and shared else found.now
        return LeaseState(self.owner, (*others, self.run), None, acquired, found.now, self._compute_expiry(found))

    def _compute_expiry(self, found: LeaseSnapshot) -> datetime:
        return found.now + timedelta(seconds=self.timing.duration)


def open_lease_store(location: str | None, settings: JobSettings) -> LeaseStore:
    """Return the store at ``location`` (``NIGHTFERRY_LEASE``): ``database`` or the URI of a folder."""
    if location and location != LEASE_IN_DATABASE:
        return StoredLeases(location)
    if not isinstance(settings, HasDatabase):
        raise LeaseError(
            f"{type(settings).__name__} has no database connection to store the lease in. "
            f"Set {LEASE_VARIABLE} to a folder (s3://… or a path), or {OVERLAP_VARIABLE} to allow."
        )
    return DatabaseLeases(settings.connect)


@contextmanager
def hold_lease(
    lease: Lease,
    mode: Literal["skip", "queue", "replace"],
    wait: Callable[[float], object],
    stop: Callable[[type[Stopped]], None],
) -> Iterator[None]:
    """Hold the lease during the block and renew it in a thread, which calls ``stop`` when the run must end."""
    ended = threading.Event()
    renewer = threading.Thread(target=_renew_until_ended, args=(lease, ended, stop), name="lease", daemon=True)
    try:
        lease.acquire(mode, wait)
    except Stopped:  # The store may have the lease already.
        _release(lease)
        raise
    try:
        renewer.start()
        yield
    finally:
        ended.set()
        if renewer.ident is not None:
            renewer.join(timeout=lease.timing.renew_interval)
        _release(lease)


def _release(lease: Lease) -> None:
    try:
        lease.release()
    except Exception as error:
        _log.warning("cannot release the lease, which will expire on its own: %s", describe_error(error))


def _renew_until_ended(lease: Lease, ended: threading.Event, stop: Callable[[type[Stopped]], None]) -> None:
    deadline = _start_deadline(lease.timing, ended, stop)
    while not ended.wait(lease.timing.renew_interval):
        began = time.monotonic()
        try:
            lease.renew()
        except Stopped as reason:
            _log.error("this run must stop: %s", type(reason).__doc__, extra={"event": type(reason).__name__.lower()})
            stop(type(reason))
            break
        except Exception as error:
            _log.warning("cannot renew the lease: %s", describe_error(error))
        else:
            deadline.cancel()
            deadline = _start_deadline(lease.timing, ended, stop, time.monotonic() - began)
    deadline.cancel()


def _start_deadline(
    timing: LeaseTiming, ended: threading.Event, stop: Callable[[type[Stopped]], None], elapsed: float = 0
) -> threading.Timer:
    """Stop the run one interval before its lease expires, unless the returned timer is canceled.

    The client of a store can wait for minutes, and then the thread that renews the lease cannot stop the run in time.
    """

    def lose() -> None:
        if not ended.is_set():
            _log.error("this run must stop: %s", LeaseLost.__doc__, extra={"event": "leaselost"})
            stop(LeaseLost)

    timer = threading.Timer(timing.duration - timing.renew_interval - elapsed, lose)
    timer.daemon = True
    timer.start()
    return timer
