"""``db-migrate-up`` and ``db-migrate-down``: upgrade and downgrade of the database schema.

Each revision is one transaction, so that an interrupted upgrade resumes where it stopped. A failure reports the
revision that the database has. If the version table was lost, ``--adopt`` finds the revision from the schema
(``paidleave.db.adoption``). Only one migration runs at a time. At the end of an upgrade, the lookup tables are
synchronized with ``paidleave.db.lookups`` and the database users are granted their privileges on new tables
(``paidleave.db.grants``).
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

from nightferry import JobFailed, Run, background_task
from paidleave.db import adoption, grants, locks, lookups
from paidleave.db.connection import Connect, make_connector
from paidleave.db.driver_errors import describe_error
from paidleave.db.settings import DatabaseSettings, MigrateUpSettings

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "nightferry_alembic_version"
_OLD_VERSION_TABLE = "longshore_alembic_version"

LOCK_TIMEOUT = "60s"
"""How long a revision waits for a table lock; other sessions queue behind it during the wait."""

_log = logging.getLogger(__name__)


@background_task("db-migrate-up", MigrateUpSettings)
def up(settings: MigrateUpSettings, run: Run) -> None:
    """Upgrade the database to the latest schema."""
    if settings.adopt:
        adopt(make_connector(settings))
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
    """A step of the migration failed and changed nothing; the steps before it remain.

    Fix the cause in the message and run the migration again. It resumes after the revision in the message.
    """


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
            migration.step = "synchronizing the lookup tables"
            synchronized = migration.synchronize_lookups()
            migration.step = "granting the privileges of the database users"
            migration.renew_grants()
    return MigrationResult(tuple(migration.revisions), synchronized)


def downgrade(
    connect: Connect, *, target: str = "-1", on_applied: Callable[[str], None] | None = None
) -> MigrationResult:
    """Revert revisions to ``target``, if any is applied: ``-1`` reverts the latest one, ``base`` reverts all.

    A downgrade is one transaction.
    """
    with _open_migration(connect, on_applied, LOCK_TIMEOUT) as migration:
        if migration.current() is not None:
            migration.run(command.downgrade, target)
    return MigrationResult(tuple(migration.revisions))


def adopt(connect: Connect) -> str | None:
    """Find and record the revision of a database without a version table; return None if it has a revision.

    Raises:
        MigrationFailed: The schema is not the one of any revision. The message has the differences.
    """
    with _open_migration(connect, None, LOCK_TIMEOUT) as migration:
        if (current := migration.current()) is not None:
            _log.info("nothing to adopt: the database has revision %s", current)
            return None
        return migration.adopt()


def list_revisions() -> tuple[str, ...]:
    """Return all revisions, oldest first."""
    newest_first = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    return tuple(script.revision for script in newest_first)[::-1]


class _Migration:
    """One upgrade or downgrade on a connection that holds the lock; ``step`` is what it is doing now."""

    def __init__(self, connection: Connection, on_applied: Callable[[str], None] | None) -> None:
        self._connection = connection
        self._on_applied = on_applied
        self.revisions: list[str] = []
        self.step = "preparing the migration"
        self.reached: str | None = None

    def run(self, verb: Callable[[Config, str], None], target: str) -> None:
        is_upgrade = verb is command.upgrade
        self.reached = self.current()
        if is_upgrade:
            self._connection.commit()  # Otherwise all revisions would be one transaction, as in a downgrade.
        if self.reached is not None and self.reached not in list_revisions():
            raise MigrationFailed(
                f"The database has revision {self.reached}, which this version does not have: a newer version migrated "
                "it. Nothing was changed. Deploy that version, or revert its revisions with it."
            )
        self._describe_step(self.reached, is_upgrade=is_upgrade)
        verb(self._make_config(self._after_revision), target)
        self._connection.commit()

    def current(self) -> str | None:
        """Return the latest revision of the database."""
        return self._context.get_current_revision()

    def adopt(self) -> str:
        """Record the revision whose schema the database has."""
        self.step = "comparing the schema with each revision"
        config = self._make_config(lambda **_: None)
        self._connection.commit()
        found, closest = adoption.compare_with_revisions(
            self._connection, VERSION_TABLE, list_revisions(), lambda revision: command.upgrade(config, revision)
        )
        if found is None:
            raise MigrationFailed(
                f"The database has the schema of no revision. Most similar is revision {closest.revision}, with these "
                f"differences: {closest}. Nothing was changed. Correct the differences and run db-migrate-up --adopt "
                "again; without --adopt if the database was never migrated."
            )
        self._context.stamp(ScriptDirectory(str(MIGRATIONS)), found)
        self._connection.commit()
        _log.info("adopted: the database has the schema of revision %s", found)
        return found

    @property
    def _context(self) -> MigrationContext:
        return MigrationContext.configure(self._connection, opts={"version_table": VERSION_TABLE})

    def _make_config(self, on_applied: Callable[..., None]) -> Config:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes.update(connection=self._connection, on_applied=on_applied)
        return config

    def _describe_step(self, revision: str | None, *, is_upgrade: bool) -> None:
        """Set ``step`` for the next revision after ``revision``."""
        revisions = list_revisions()
        following = revisions.index(revision) + 1 if revision is not None else 0
        if not is_upgrade:
            self.step = f"reverting revision {revision}"
        elif following < len(revisions):
            self.step = f"applying revision {revisions[following]}"

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
        if step.is_upgrade:
            self.reached = revision.revision
        self._describe_step(next(iter(step.destination_revision_ids), None), is_upgrade=step.is_upgrade)
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
        migration = _Migration(connection, on_applied)
        try:
            locks.MIGRATION.acquire(_get_driver_connection(connection), _log_wait)  # lock_timeout must not limit this.
            _create_schema(_get_driver_connection(connection))
            connection.exec_driver_sql("SELECT set_config('lock_timeout', %s, false)", (lock_timeout,))
            _rename_version_table(_get_driver_connection(connection))
            connection.commit()
            yield migration
        except (DBAPIError, psycopg.Error, CommandError) as error:
            raise MigrationFailed(_describe_failure(migration, error)) from None


def _describe_failure(migration: _Migration, error: DBAPIError | psycopg.Error | CommandError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    reached = f"revision {migration.reached}" if migration.reached is not None else "no revision"
    return (
        f"The migration stopped while {migration.step}: {_describe_cause(cause)} The database has {reached}, and a "
        "migration resumes from there. Correct the cause and run it again."
    )


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
    match error:
        case psycopg.errors.LockNotAvailable():
            return (
                f"{describe_error(error)}. Another session uses a table of this revision; try again when it has ended."
            )
        case psycopg.errors.DuplicateTable() | psycopg.errors.DuplicateColumn():
            return f"{describe_error(error)}. If the table {VERSION_TABLE} was lost, run db-migrate-up --adopt."
        case psycopg.Error():
            return f"{describe_error(error)}."
        case CommandError():
            return f"{error}"
    return f"{type(error).__name__}."
