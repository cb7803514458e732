"""The employers to load, the outcomes, and the interface of their sources.

Two classes have the interface: ``EmployerQueue`` (mode updates) and ``NewEmployers`` (mode only_new).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from paidleave.fineos.client.service_agreements import Exemption

NO_EMPLOYER = UUID(int=0)
"""Comes before every employer in the order of ids."""


@dataclass(frozen=True)
class Employer:
    """An employer to load; ``customer_number`` is the vendor's number of it, None when FINEOS does not know it yet.

    ``after`` is what it is exempt from, ``before`` what FINEOS has; both are None when its service agreement is to be
    left alone. ``rows`` are the queue rows that ask for the load, ``failures``
    how often it failed already.
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
    """The employer is at FINEOS as it should be."""

    employer: Employer


@dataclass(frozen=True)
class Failed:
    """The employer could not be loaded.

    ``error`` is the kind of error, without personal data; ``counts`` is True if the employer was at fault, False if
    FINEOS was out of order.
    """

    employer: Employer
    error: str
    counts: bool


@dataclass(frozen=True)
class Numbered:
    """FINEOS gave the employer a customer number, which is to be stored before anything else is done with it."""

    employer: Employer
    number: int


Outcome = Loaded | Failed | Numbered


@dataclass(frozen=True)
class WaitingEmployers:
    """Employers that still wait: all, those parked after too many failures, and those parked today, after the limit."""

    employers: int
    parked: int = 0
    newly_parked: int = 0
    in_other_hands: int = 0


class EmployerSource(Protocol):
    """Provides employers. One thread calls ``claim`` and ``waiting``, another ``save``, ``renew`` and ``release``."""

    def waiting(self) -> WaitingEmployers:
        """Return how much there is to do."""

    def claim(self, limit: int) -> Sequence[Employer]:
        """Claim up to ``limit`` employers and return them; none if nothing is left that we may do."""

    def save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Commit ``outcomes`` and return the employers whose number another employer already has."""

    def renew(self) -> None:
        """Extend the claims on all employers that are not done."""

    def release(self) -> None:
        """Make all employers free that were claimed and are not done."""

    def close(self) -> None:
        """Close the connections."""
