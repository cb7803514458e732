"""Storage of customer numbers. Each employer has its own number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import psycopg

from paidleave.db.statements import Statements
from paidleave.fineos.employers.source import NumberAssigned

_SQL = Statements("paidleave.fineos.employers")


def store(connection: psycopg.Connection[Any], numbered: Iterable[NumberAssigned]) -> set[UUID]:
    """Store numbers of employers that have none. Return the IDs of employers whose number could not be stored.

    A number cannot be stored if another employer already has it (the vendor confused two employers), or if the
    employer got another number meanwhile.
    """
    wanted = list({item.number: item for item in reversed(list(numbered))}.values())
    refused = {item.employer.employer_id for item in numbered} - {item.employer.employer_id for item in wanted}
    try:
        with connection.transaction():
            return refused | _store(connection, wanted)
    except psycopg.errors.UniqueViolation:  # Another loader stored one of the numbers at the same time.
        for item in wanted:
            try:
                with connection.transaction():
                    refused |= _store(connection, [item])
            except psycopg.errors.UniqueViolation:
                refused.add(item.employer.employer_id)
    return refused


def _store(connection: psycopg.Connection[Any], numbered: list[NumberAssigned]) -> set[UUID]:
    employers = [item.employer.employer_id for item in numbered]
    numbers = [item.number for item in numbered]
    _SQL.run(connection, "store_customer_numbers", employers=employers, numbers=numbers)
    stored = _SQL.run(connection, "stored_customer_numbers", employers=employers, numbers=numbers)
    return set(employers) - {row.employer_id for row in stored}
