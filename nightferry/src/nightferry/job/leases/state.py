"""What a lease says, and the three places that keep one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nightferry.errors import NightferryError


class LeaseError(NightferryError):
    """The lease cannot be read or written. Check that the place that NIGHTFERRY_LEASE names can be reached."""


@dataclass(frozen=True)
class LeaseState:
    """Who holds a lease until when.

    ``owner`` is a workflow execution, or a run outside of one; ``runs`` are the owner's processes that work under
    the lease; ``successor`` is a run that asks to take its place.
    """

    owner: str
    runs: tuple[str, ...]
    successor: str | None
    acquired_at: datetime
    renewed_at: datetime
    expires_at: datetime

    @property
    def holder(self) -> str:
        """Owner, runs and successor as one text."""
        return " ".join([self.owner, *self.runs, *([f"!{self.successor}"] if self.successor else [])])

    @staticmethod
    def parse_holder(holder: str) -> tuple[str, tuple[str, ...], str | None]:
        """Owner, runs and successor out of :attr:`holder`."""
        owner, *words = holder.split(" ")
        successors = [word[1:] for word in words if word.startswith("!")]
        return owner, tuple(word for word in words if not word.startswith("!")), successors[0] if successors else None


@dataclass(frozen=True)
class Found:
    """What a place holds: the state, if any, the place's time, and a token that names this very state."""

    state: LeaseState | None
    now: datetime
    token: str | None


class LeasePlace(Protocol):
    """Keeps leases by name. ``replace`` changes one only if nobody else has changed it meanwhile."""

    def read(self, name: str) -> Found:
        """Return the stored lease, with its version."""

    def replace(self, name: str, found: Found, new: LeaseState | None) -> bool:
        """Store ``new`` (None: delete it) if nobody changed what was found; return False if somebody did."""
