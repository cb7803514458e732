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

from collections.abc import Sequence

import psycopg

from nightferry.job import JobFailed, Run, get_logger
from paidleave.db import locks
from paidleave.db.connection import make_connector
from paidleave.db.driver_errors import explain_error
from paidleave.dor.importing import received
from paidleave.dor.importing.arrivals import log_missing_files
from paidleave.dor.importing.file_import import FileImport, ImportContext
from paidleave.dor.importing.file_kind import FileKind
from paidleave.dor.importing.own_key import check_own_key
from paidleave.dor.importing.unread import get_layouts, log_unread_files
from paidleave.dor.settings import ReceivedFilesSettings

log = get_logger(__name__)

# Fails if the tables are missing or cannot be changed, even if no file has arrived.
_REQUIRE_TABLES = "SELECT 'dor_imported_file'::regclass FROM import_log WHERE false FOR UPDATE"


def import_files(kinds: Sequence[FileKind], settings: ReceivedFilesSettings, run: Run) -> None:
    """Import every complete file of ``kinds`` in the folder; stop at the first failure.

    The files do not depend on the trigger of the run. A concurrent run waits and then imports the remaining files.

    Raises:
        JobFailed: The import of a file failed, or the database reported an error.
        NightferryError: Another error with a message for operators.
    """
    connect = make_connector(settings)
    by_layout = {kind.layout: kind for kind in kinds}
    try:
        with connect() as control:
            control.autocommit = True
            # List the files after acquiring the lock, because another run may be importing them. Closing the
            # connection releases the lock.
            locks.DOR_RUN.acquire(control, lambda: log.info("another import is running; waiting for it to finish"))
            control.execute(_REQUIRE_TABLES)
            key_report = check_own_key(settings.decryption) if settings.decryption else {}
            context = ImportContext(settings, run, connect, control, key_report)
            files = received.find_files(settings.received_folder, list(by_layout))
            log.info("files to import", extra={"count": len(files)})
            for file in files:
                FileImport(file, by_layout[file.layout], context).run()
            log_unread_files(settings.received_folder, get_layouts(list(by_layout)))
            if settings.expected_files:
                log_missing_files(control, settings.expected_files)
    except psycopg.Error as error:
        raise JobFailed(explain_error(error, settings)) from None
    if settings.s3_key:
        received.log_trigger_outcome(settings.s3_key, settings.received_folder, files)
