"""``db-migrate-up`` and ``db-migrate-down``: upgrade and downgrade of the database schema.

Each revision is one transaction, so that an interrupted upgrade resumes where it stopped. Only one migration runs at a
time. At the end of an upgrade, the lookup tables are synchronized with ``paidleave.db.lookups`` and the database users
are granted their privileges on new tables (``paidleave.db.grants``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from nightferry.job import JobFailed, Run, background_task
from paidleave.db import grants, locks, lookups
from paidleave.db.connection import Connect, make_connector
from paidleave.db.driver_errors import describe_error
from paidleave.db.settings import DatabaseSettings

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "nightferry_alembic_version"
_OLD_VERSION_TABLE = "longshore_alembic_version"

LOCK_TIMEOUT = "60s"
"""How long a revision waits for a table lock; other sessions queue behind it during the wait."""

_log = logging.getLogger(__name__)


@background_task("db-migrate-up", DatabaseSettings)
def up(settings: DatabaseSettings, run: Run) -> None:
    """Upgrade the database to the latest schema."""
    with run.progress("applying revisions", unit="revisions") as progress:
        migrated = upgrade(make_connector(settings), on_applied=lambda _: progress.advance())
    _log.info("the database has the latest schema", extra={"applied": len(migrated.revisions)})


@background_task("db-migrate-down", DatabaseSettings)
def down(settings: DatabaseSettings, run: Run) -> None:
    """Revert the latest schema revision."""
    with run.progress("reverting revisions", unit="revisions") as progress:
        migrated = downgrade(make_connector(settings), on_applied=lambda _: progress.advance())
    if not migrated.revisions:
        _log.info("the database has no revision to revert")


class MigrationFailed(JobFailed):
    """A revision could not be applied or reverted and changed nothing. Fix the cause in the message and run again."""


@dataclass(frozen=True)
class MigrationResult:
    """The revisions that a migration applied or reverted, and the lookup rows that it wrote."""

    revisions: tuple[str, ...]
    lookups: lookups.LookupChanges = lookups.NO_CHANGES


def upgrade(
    connect: Connect,
    *,
    target: str = "head",
    on_applied: Callable[[str], None] | None = None,
    lock_timeout: str = LOCK_TIMEOUT,
) -> MigrationResult:
    """Upgrade the database to ``target`` and call ``on_applied`` after each revision.

    If the target is ``head``, also synchronize the lookup tables and renew the grants.
    """
    with _open_migration(connect, on_applied, lock_timeout) as migration:
        migration.run(command.upgrade, target)
        synchronized = lookups.NO_CHANGES
        if target == "head":
            synchronized = migration.synchronize_lookups()
            migration.renew_grants()
    return MigrationResult(tuple(migration.revisions), synchronized)


def downgrade(
    connect: Connect, *, target: str = "-1", on_applied: Callable[[str], None] | None = None
) -> MigrationResult:
    """Revert revisions to ``target``, if any is applied: ``-1`` reverts the latest one, ``base`` reverts all."""
    with _open_migration(connect, on_applied, LOCK_TIMEOUT) as migration:
        if migration.current() is not None:
            migration.run(command.downgrade, target)
    return MigrationResult(tuple(migration.revisions))


def list_revisions() -> tuple[str, ...]:
    """Return all revisions, oldest first."""
    newest_first = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    return tuple(script.revision for script in newest_first)[::-1]


class _Migration:
    """One upgrade or downgrade on a connection that holds the lock."""

    def __init__(self, connection: Connection, on_applied: Callable[[str], None] | None) -> None:
        self._connection = connection
        self._on_applied = on_applied
        self.revisions: list[str] = []

    def run(self, verb: Callable[[Config, str], None], target: str) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes.update(connection=self._connection, on_applied=self._after_revision)
        try:
            verb(config, target)
        except DBAPIError as error:
            place = f"after revision {self.revisions[-1]}" if self.revisions else "at its first revision"
            raise MigrationFailed(f"The migration stopped {place}: {_describe_cause(error.orig)}.") from None
        except CommandError as error:
            raise MigrationFailed(f"The migration cannot start: {error}") from None
        self._connection.commit()

    def current(self) -> str | None:
        """Return the latest revision of the database."""
        return MigrationContext.configure(
            self._connection, opts={"version_table": VERSION_TABLE}
        ).get_current_revision()

    def synchronize_lookups(self) -> lookups.LookupChanges:
        driver = _get_driver_connection(self._connection)
        result = lookups.synchronize(driver)
        driver.commit()
        _log.info("lookup tables: %d rows added, %d updated", result.added, result.updated)
        return result

    def renew_grants(self) -> None:
        driver = _get_driver_connection(self._connection)
        grants.renew(driver)
        driver.commit()

    def _after_revision(self, *, step: MigrationInfo, **_: object) -> None:
        revision = step.up_revision
        assert revision is not None  # Every revision has a script.
        self.revisions.append(revision.revision)
        _log.info("revision %s %s", revision.revision, "applied" if step.is_upgrade else "reverted")
        if self._on_applied is not None:
            self._on_applied(revision.revision)


@contextmanager
def _open_migration(
    connect: Connect, on_applied: Callable[[str], None] | None, lock_timeout: str
) -> Iterator[_Migration]:
    """Yield a migration that holds the migration lock of its database; closing the connection releases the lock."""
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.connect() as connection:
        locks.MIGRATION.acquire(_get_driver_connection(connection), _log_wait)  # lock_timeout must not limit this.
        _create_schema(_get_driver_connection(connection))
        connection.exec_driver_sql("SELECT set_config('lock_timeout', %s, false)", (lock_timeout,))
        _rename_version_table(_get_driver_connection(connection))
        connection.commit()
        yield _Migration(connection, on_applied)


def _log_wait() -> None:
    _log.info("another migration of this database is running; waiting for it to finish")


def _create_schema(connection: psycopg.Connection[Any]) -> None:
    """Create the schema of the connection's search path if it does not exist."""
    found = connection.execute("SELECT current_schema(), current_setting('search_path')").fetchone()
    if found is not None and found[0] is None:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(found[1])))
        connection.commit()


def _rename_version_table(connection: psycopg.Connection[Any]) -> None:
    """Rename the table with the database revision if it still has the toolkit's old name."""
    found = connection.execute("SELECT to_regclass(%s), to_regclass(%s)", [_OLD_VERSION_TABLE, VERSION_TABLE])
    old, new = found.fetchone() or (None, None)
    if old is not None and new is None:
        for change in (
            "ALTER TABLE {old} RENAME TO {new}",
            "ALTER TABLE {new} RENAME CONSTRAINT {old_key} TO {new_key}",
        ):
            connection.execute(
                sql.SQL(change).format(
                    old=sql.Identifier(_OLD_VERSION_TABLE),
                    new=sql.Identifier(VERSION_TABLE),
                    old_key=sql.Identifier(f"{_OLD_VERSION_TABLE}_pkc"),
                    new_key=sql.Identifier(f"{VERSION_TABLE}_pkc"),
                )
            )


def _get_driver_connection(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _describe_cause(error: BaseException | None) -> str:
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return f"{describe_error(error)} (another session uses a table of this revision; try again when it has ended)"
    return describe_error(error) if isinstance(error, psycopg.Error) else type(error).__name__
