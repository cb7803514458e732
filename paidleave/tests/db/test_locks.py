"""Advisory locks have distinct keys and last until the connection or transaction ends."""

from __future__ import annotations

import psycopg

from paidleave.db import locks
from paidleave.db.locks import Lock, NamedLocks, NumberedLocks


def test_keys_of_locks_are_distinct() -> None:
    declared = [value for value in vars(locks).values() if isinstance(value, Lock | NumberedLocks | NamedLocks)]
    assert len(declared) == 10
    numbers = [value.values if isinstance(value, Lock) else value for value in declared]
    assert len(set(numbers)) == len(declared)


def test_lock_lasts_until_the_connection_closes(empty_database: str) -> None:
    waited: list[str] = []
    with psycopg.connect(empty_database, autocommit=True) as other:
        for lock in (locks.MIGRATION, locks.IMPORT_LOG.lock(7), locks.CLAIMANT.lock("loader 1")):
            with psycopg.connect(empty_database) as connection:
                lock.acquire(connection, lambda: waited.append("waited"))
                connection.rollback()
                assert not lock.try_acquire(other)
                lock.release(connection)
                assert lock.try_acquire(other)
                lock.release(other)
                lock.acquire(connection)
            lock.acquire(other)
    assert waited == []


def test_transaction_lock_lasts_until_commit(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection, psycopg.connect(empty_database, autocommit=True) as other:
        locks.USERS.acquire_in_transaction(connection)
        assert not locks.USERS.try_acquire(other)
        connection.commit()
        assert locks.USERS.try_acquire(other)
