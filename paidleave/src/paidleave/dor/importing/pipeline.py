"""The import pipeline for received files of all kinds (:mod:`paidleave.dor.importing.file_kind`).

Files are imported one at a time, ordered by kind and file name::

    received ── decrypt ── digest ── read ── screen ─┬─ accepted ── COPY ── staging tables ── SQL steps ── tables
                                                     └─ rejected ── dor_rejected_line and rejected/<name>.rej

Each file has one transaction, which is committed only after the decryption has succeeded and the rejected lines have
been stored: see :mod:`paidleave.dor.importing.file_import`. The import log and the rejected lines use separate
connections because they are committed even if the file fails.

At the end, warnings report files that no job reads (:mod:`.unread`) and daily files that did not come
(:mod:`.arrivals`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from nightferry import JobFailed, Run, get_logger
from paidleave.db import locks
from paidleave.db.connection import make_connector
from paidleave.db.driver_errors import explain_error
from paidleave.dor.importing import received
from paidleave.dor.importing.arrivals import log_missing_files
from paidleave.dor.importing.file_import import FileImport, OlderFile
from paidleave.dor.importing.file_kind import FileKind
from paidleave.dor.importing.own_key import check_own_key
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.transaction import ImportContext
from paidleave.dor.importing.unread import get_layouts, log_unread_files
from paidleave.dor.settings import ReceivedFilesSettings

log = get_logger(__name__)

# Fails if the tables are missing or cannot be changed, even if no file has arrived.
_REQUIRE_TABLES = "SELECT 'dor_imported_file'::regclass FROM import_log WHERE false FOR UPDATE"


def import_files(kinds: Sequence[FileKind], settings: ReceivedFilesSettings, run: Run) -> None:
    """Import every complete file of ``kinds`` in the folder; stop at the first failure.

    An older file that is refused does not stop the run, because it needs a decision and the files after it do not. The
    run fails at its end. Any other failure stops the run, because later files would make the failed one an older file.

    The files do not depend on the trigger of the run. A concurrent run waits and then imports the remaining files.

    Raises:
        JobFailed: The import of a file failed, older files were refused, or the database reported an error.
        NightferryError: Another error with a message for operators.
    """
    by_layout = {kind.layout: kind for kind in kinds}
    refused: list[OlderFile] = []
    with open_context(settings, run) as context:
        files = received.find_files(settings.received_folder, list(by_layout))
        log.info("files to import", extra={"count": len(files)})
        _check_reimport(settings, files)
        for file in files:
            try:
                FileImport(file, by_layout[file.layout], context).run()
            except OlderFile as error:
                log.error("%s", str(error), extra={"file": file.name})
                refused.append(error)
        log_unread_files(settings.received_folder, get_layouts(list(by_layout)))
        if settings.expected_files:
            log_missing_files(context.control, settings.expected_files)
    if settings.s3_key:
        received.log_trigger_outcome(settings.s3_key, settings.received_folder, files)
    if refused:
        raise JobFailed("\n".join(map(str, refused)))


@contextmanager
def open_context(settings: ReceivedFilesSettings, run: Run) -> Iterator[ImportContext]:
    """Wait until no other run imports files, and yield the context of this run, which is then the only one.

    Raises:
        JobFailed: The database reported an error.
    """
    connect = make_connector(settings)
    try:
        with connect() as control:
            control.autocommit = True
            # The caller lists the files after the lock is acquired, because another run may be importing them. Closing
            # the connection releases the lock.
            locks.DOR_RUN.acquire(control, lambda: log.info("another import is running; waiting for it to finish"))
            control.execute(_REQUIRE_TABLES)
            key_report = check_own_key(settings.decryption) if settings.decryption else {}
            yield ImportContext(settings, run, connect, control, key_report)
    except psycopg.Error as error:
        raise JobFailed(explain_error(error, settings)) from None


def _check_reimport(settings: ReceivedFilesSettings, files: Sequence[ReceivedFile]) -> None:
    if settings.reimport and settings.reimport not in {file.name for file in files}:
        raise JobFailed(
            f"REIMPORT={settings.reimport} is not a file of this job in {settings.received_folder}. Copy it there, for "
            "example from 'processed', and start the job again."
        )
