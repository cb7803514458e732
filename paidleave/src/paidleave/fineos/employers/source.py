"""Employers to load, the outcomes, and the interface of employer sources.

Two classes implement the interface: ``EmployerQueue`` (mode updates) and ``NewEmployers`` (mode only_new).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from paidleave.fineos.client.service_agreements import Exemption

NO_EMPLOYER = UUID(int=0)
"""An ID that sorts before the ID of every employer."""


@dataclass(frozen=True)
class Employer:
    """An employer to load.

    Attributes:
        customer_number: The customer number at FINEOS, or None if it is not at FINEOS yet.
        before: The exemption that FINEOS has, or None if the service agreement must not change.
        after: The current exemption, or None if the service agreement must not change.
        rows: IDs of the queue rows that requested the load.
        failures: Earlier failed attempts.
    """

    employer_id: UUID
    fein: str
    legal_name: str
    dba: str
    customer_number: int | None
    is_new: bool = False
    before: Exemption | None = None
    after: Exemption | None = None
    rows: tuple[UUID, ...] = field(default=(), repr=False)
    failures: int = 0


@dataclass(frozen=True)
class Loaded:
    """The employer was loaded."""

    employer: Employer


@dataclass(frozen=True)
class Failed:
    """The employer could not be loaded.

    ``error`` is the kind of error without personal data. ``counts_as_attempt`` is False if FINEOS was unavailable.
    """

    employer: Employer
    error: str
    counts_as_attempt: bool


@dataclass(frozen=True)
class NumberAssigned:
    """FINEOS assigned a customer number to the employer. It must be stored before the next call."""

    employer: Employer
    number: int


Outcome = Loaded | Failed | NumberAssigned


@dataclass(frozen=True)
class WaitingEmployers:
    """Counts of waiting employers.

    Attributes:
        employers: All waiting employers.
        parked: Employers that are parked after too many failures.
        newly_parked: Employers that were parked today.
        claimed_by_others: Employers that other loaders claim.
    """

    employers: int
    parked: int = 0
    newly_parked: int = 0
    claimed_by_others: int = 0


class EmployerSource(Protocol):
    """Provides employers.

    One thread calls ``claim`` and ``count_waiting``, another ``save``, ``renew`` and ``release``.
    """

    def count_waiting(self) -> WaitingEmployers:
        """Count the waiting employers."""

    def claim(self, limit: int) -> Sequence[Employer]:
        """Claim up to ``limit`` employers and return them. Return none if no employer is available."""

    def save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Commit ``outcomes`` and return the IDs of employers whose number another employer already has."""

    def renew(self) -> None:
        """Extend the claims on all unfinished employers."""

    def release(self) -> None:
        """Release the claims on all unfinished employers."""

    def close(self) -> None:
        """Close the connections."""
