"""The transaction in which a file or rejected lines are imported, and the objects that all imports of a run share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from nightferry import Run
from paidleave.db import locks
from paidleave.db.foreign_keys import check_in_bulk
from paidleave.dor.importing.file_kind import Rules
from paidleave.dor.importing.steps import Steps
from paidleave.dor.settings import ReceivedFilesSettings

# temp_buffers must be set before the first temporary table is used. The timeouts are disabled because they are for the
# API's short statements; the time limit of the task limits an import. A third of the default sample of the staging
# tables is sufficient for their joins.
_SESSION = """
    SET temp_buffers = '256MB';
    SET LOCAL work_mem = '256MB';
    SET LOCAL jit = off;
    SET LOCAL default_statistics_target = 30;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0
"""


@dataclass(frozen=True)
class ImportContext:
    """The objects that all files of a run share; the connection ``control`` is in autocommit mode.

    ``key_report`` is the state of the key that decrypts the files, for the report of each file.
    """

    settings: ReceivedFilesSettings
    run: Run
    connect: Callable[[], psycopg.Connection[Any]]
    control: psycopg.Connection[Any]
    key_report: Mapping[str, Any]


@contextmanager
def open_transaction(connection: psycopg.Connection[Any], import_log_id: int, rules: Rules) -> Iterator[Steps]:
    """Begin the transaction, create the staging tables and yield the steps."""
    connection.execute(_SESSION)
    locks.DOR_FILE.acquire_in_transaction(connection)
    with check_in_bulk(connection) as keys:
        keys.lock_references(
            "import_log.import_log_id", "(SELECT %(id)s::integer AS import_log_id) AS log", id=import_log_id
        )
        steps = Steps(connection, import_log_id, keys)
        for table in rules.staging:
            steps.run(table)
        yield steps
