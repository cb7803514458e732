"""What the employer load works on: employers, what became of them, and where they come from.

Two sources have the interface :class:`Source`: ``employer_queue`` (mode updates) and ``new_employers`` (mode only_new).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Protocol
from uuid import UUID

import psycopg

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
class Waiting:
    """Employers that still wait: all, those parked after too many failures, and those parked today, after the limit."""

    employers: int
    parked: int = 0
    newly_parked: int = 0
    in_other_hands: int = 0


class Source(Protocol):
    """Where employers come from.

    ``claim`` and ``waiting`` run in one thread, ``save``, ``renew`` and ``release`` in another.
    """

    def waiting(self) -> Waiting:
        """How much there is to do."""

    def claim(self, limit: int) -> Sequence[Employer]:
        """Up to ``limit`` employers that are now ours alone; none when there is nothing to do that we may do."""

    def save(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Commit ``outcomes``; returns the employers whose number another employer has already."""

    def renew(self, employers: Sequence[UUID]) -> None:
        """Keep the claims on ``employers``, which are still being worked on."""

    def release(self, employers: Sequence[UUID]) -> None:
        """Give back ``employers``, which were claimed but are not done."""

    def close(self) -> None:
        """Let go of the connections."""


def rows(connection: psycopg.Connection[Any], name: str, **values: object) -> list[Any]:
    """The rows that ``sql/employers/<name>.sql`` returns, as named tuples."""
    return connection.execute(_statement(name), values).fetchall()


def run(connection: psycopg.Connection[Any], name: str, **values: object) -> int:
    """How many rows ``sql/employers/<name>.sql`` changed."""
    return connection.execute(_statement(name), values).rowcount


@cache
def _statement(name: str) -> bytes:
    return (files("paidleave.fineos.employers") / "sql" / f"{name}.sql").read_bytes()
