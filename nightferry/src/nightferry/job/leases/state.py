"""The state of a lease, and the interface of the stores that hold leases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nightferry.errors import NightferryError


class LeaseError(NightferryError):
    """The lease cannot be read or written. Check that the location in NIGHTFERRY_LEASE can be reached."""


@dataclass(frozen=True)
class LeaseState:
    """The holder of a lease and its expiry time.

    Attributes:
        owner: A workflow execution, or a run outside a workflow.
        runs: The owner's processes that run under the lease.
        successor: The run that is to replace the owner.
    """

    owner: str
    runs: tuple[str, ...]
    successor: str | None
    acquired_at: datetime
    renewed_at: datetime
    expires_at: datetime

    @property
    def holder(self) -> str:
        """The owner, runs and successor as one text."""
        return " ".join([self.owner, *self.runs, *([f"!{self.successor}"] if self.successor else [])])

    @staticmethod
    def parse_holder(holder: str) -> tuple[str, tuple[str, ...], str | None]:
        """Return the owner, the runs and the successor from the text of :attr:`holder`."""
        owner, *words = holder.split(" ")
        successors = [word[1:] for word in words if word.startswith("!")]
        return owner, tuple(word for word in words if not word.startswith("!")), successors[0] if successors else None


@dataclass(frozen=True)
class LeaseSnapshot:
    """A lease as read from its store: the state, if any, the store's time, and a token of this version."""

    state: LeaseState | None
    now: datetime
    token: str | None


class LeaseStore(Protocol):
    """A store of leases by name; ``replace`` changes a lease only if no one else has changed it since it was read."""

    def read(self, name: str) -> LeaseSnapshot:
        """Return the stored lease with its version."""

    def replace(self, name: str, found: LeaseSnapshot, new: LeaseState | None) -> bool:
        """Store ``new``, or delete the lease if None; return False if it has changed since ``found`` was read."""
