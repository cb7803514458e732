"""The one way in which received files are imported, whatever their kind (:mod:`paidleave.dor.importing.file_kind`).

One file after the other, kind by kind, each kind in the order of the files' names::

    received ── decrypt ── digest ── read ── screen ─┬─ accepted ── COPY ── staging tables ── SQL steps ── tables
                                                     └─ rejected ── dor_rejected_line and rejected/<name>.rej

Each file has one transaction, committed only after the decryption ended well and its rejected lines are kept:
:mod:`paidleave.dor.importing.file_import`. The import log has a connection of its own, and so have the rejected
lines, because both are kept when the file fails.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from nightferry.job import JobFailed, Run, get_logger
from paidleave.db import locks
from paidleave.db.connection import make_connector
from paidleave.db.driver_errors import describe_error
from paidleave.dor.importing import received
from paidleave.dor.importing.file_import import FileImport, ImportContext
from paidleave.dor.importing.file_kind import FileKind
from paidleave.dor.settings import ReceivedFilesSettings

log = get_logger(__name__)


def import_files(kinds: Sequence[FileKind], settings: ReceivedFilesSettings, run: Run) -> None:
    """Import every complete file of ``kinds`` in the folder; the first that fails ends the run.

    It doesn't matter what started the run: files are found by looking, and a second run at the same time waits for
    its turn and finds what is left. Raises JobFailed, and other errors that are written for people.
    """
    connect = make_connector(settings)
    by_layout = {kind.layout: kind for kind in kinds}
    try:
        with connect() as control:
            control.autocommit = True
            # Imports take turns, and only then look at what there is to import; the lock ends with the connection.
            locks.DOR_RUN.acquire(control, lambda: log.info("another import is running; waiting for its end"))
            context = ImportContext(settings, run, connect, control)
            files = received.find_files(settings.received_folder, list(by_layout))
            log.info("files to import", extra={"count": len(files)})
            for file in files:
                FileImport(file, by_layout[file.layout], context).run()
    except psycopg.Error as error:
        raise JobFailed(f"database error: {describe_error(error)}") from None
    if settings.s3_key:
        received.log_trigger_outcome(settings.s3_key, settings.received_folder, files)
