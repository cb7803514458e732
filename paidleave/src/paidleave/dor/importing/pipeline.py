"""The one way in which received files are imported, whatever their kind (:mod:`paidleave.dor.importing.file_kind`).

One file after the other, kind by kind, each kind in the order of the files' names::

    received ── decrypt ── digest ── read ── screen ─┬─ accepted ── COPY ── staging tables ── SQL steps ── tables
                                                     └─ rejected ── dor_rejected_line and rejected/<name>.rej

Each file has one transaction, committed only after the decryption ended well and its rejected lines are kept. The
SHA-256 of its plain text is written in the same transaction and recognises the file ever after, whatever its name:
a crash between the commit and the move to ``processed`` leads to a move, not to a second import. The import log
has a connection of its own, and so have the rejected lines, because both are kept when the file fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from nightferry import storage
from nightferry.errors import NightferryError
from nightferry.job import JobFailed, Run, get_logger
from paidleave.db.connection import connector
from paidleave.db.import_log import ImportLogEntry, import_log
from paidleave.dor.encryption import gpg
from paidleave.dor.files import reader
from paidleave.dor.files.raw_lines import RawLines
from paidleave.dor.importing import received, references
from paidleave.dor.importing.file_kind import FileKind, Rules
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.rejects import Rejects
from paidleave.dor.importing.report import Tally
from paidleave.dor.importing.staging import Staging
from paidleave.dor.importing.steps import Steps
from paidleave.dor.settings import Decryption, ReceivedFilesSettings

log = get_logger(__name__)

# Advisory locks of the database: one for a whole run, one for the transaction of a file.
_RUN_LOCK = int.from_bytes(b"dor-run\0")
_FILE_LOCK = int.from_bytes(b"dor-file")

# Temporary tables are kept in memory up to temp_buffers, which cannot be changed once there is one. Limits meant for
# the API's short statements do not suit an import: it has a time limit of its own.
_SESSION = """
    SET temp_buffers = '256MB';
    SET LOCAL work_mem = '256MB';
    SET LOCAL jit = off;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0
"""

# SQLSTATE class 22 (data exception): such a message quotes the value.
_QUOTES_VALUES = "22"


class TooManyRejects(NightferryError):
    """More lines are wrong than ``REJECTED_SHARE_LIMIT`` allows, so that the file is not imported.

    Look at the reasons in ``dor_rejected_line``; ask DOR for a better file, or raise the limit for one run.
    """


@dataclass(frozen=True)
class _Import:
    """What all files of one run share; ``control`` commits every statement at once."""

    settings: ReceivedFilesSettings
    run: Run
    connect: Callable[[], psycopg.Connection[Any]]
    control: psycopg.Connection[Any]


def import_files(kinds: Sequence[FileKind], settings: ReceivedFilesSettings, run: Run) -> None:
    """Import every complete file of ``kinds`` in the folder; the first that fails ends the run.

    It doesn't matter what started the run: files are found by looking, and a second run at the same time waits for
    its turn and finds what is left. Raises JobFailed, and other errors that are written for people.
    """
    connect = connector(settings)
    by_layout = {kind.layout: kind for kind in kinds}
    try:
        with connect() as control:
            control.autocommit = True
            _wait_for_other_imports(control)
            files = received.find(settings.received_folder, list(by_layout))
            log.info("files to import", extra={"count": len(files)})
            for file in files:
                _import_file(file, by_layout[file.layout], _Import(settings, run, connect, control))
    except psycopg.Error as error:
        raise JobFailed(f"database error: {described(error)}") from None
    if settings.s3_key:
        received.tell_of(settings.s3_key, settings.received_folder, files)


def _wait_for_other_imports(control: psycopg.Connection[Any]) -> None:
    """Imports take turns, and only then look at what there is to import; the lock ends with the connection."""
    free = control.execute("SELECT pg_try_advisory_lock(%s)", [_RUN_LOCK]).fetchone()
    if free != (True,):
        log.info("another import is running; waiting for its end")
        control.execute("SELECT pg_advisory_lock(%s)", [_RUN_LOCK])


def _import_file(file: ReceivedFile, kind: FileKind, job: _Import) -> None:
    """Import ``file`` and move it away, or only move it where an earlier run had imported it."""
    log.info("importing a file", extra={"file": file.name})
    with import_log(job.connect, source=kind.source, import_type=kind.import_type, run=job.run) as entry:
        entry.report |= {field: file.name if it_is else "" for field, it_is in kind.report.items()}
        with explained(f"{file.name} was not imported and stays where it is"):
            counts, processed_uri = _write(file, kind, job, entry)
        entry.report |= counts
        if not job.settings.retain_received_files:
            with explained(f"{file.name} was imported, but could not be moved away; the next run will only move it"):
                storage.move(file.uri, processed_uri)
    log.info("file imported", extra={"file": file.name} | entry.report)


def _write(file: ReceivedFile, kind: FileKind, job: _Import, entry: ImportLogEntry) -> tuple[dict[str, int], str]:
    """Import ``file``; returns the counts for the report, and where the file goes.

    When that fails, the report says how much was read and rejected, and of course not what was written.
    """
    tally = Tally(kind)
    try:
        return _write_counting(file, kind, job, entry.id, tally)
    except BaseException:
        entry.report |= tally.report()
        raise


def _write_counting(
    file: ReceivedFile, kind: FileKind, job: _Import, import_log_id: int, tally: Tally
) -> tuple[dict[str, int], str]:
    """The one transaction of ``file``."""
    rules = kind.rules(job.control, file)
    decryption = job.settings.decryption
    with (
        Rejects(job.connect, file, import_log_id, decryption.key if decryption else None) as rejects,
        job.connect() as connection,
    ):
        connection.execute(_SESSION)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_FILE_LOCK])
        steps = Steps(connection, import_log_id, references_as_set=references.check_as_set(connection))
        steps.hold("hold_import_log")
        for table in rules.staging:
            steps.run(table)
        digest = _stage(file, kind, job, rules, connection, rejects, tally)
        if _was_imported(connection, digest):
            rejects.discard()
            processed_uri = file.processed_uri(received.number(connection, file.name, digest))
            connection.rollback()
            log.info("the file was imported before", extra={"file": file.name})
            return {"already_imported_count": 1}, processed_uri
        _check_share(tally, job.settings.rejected_share_limit)
        rejects.keep()
        counts = tally.report() | rules.apply(steps, tally.staged)
        connection.execute(
            "INSERT INTO dor_imported_file (digest, name, kind, import_log_id, line_count) VALUES (%s, %s, %s, %s, %s)",
            [digest, file.name, file.layout.name, import_log_id, tally.lines],
        )
        processed_uri = file.processed_uri(received.number(connection, file.name, digest))
    return counts, processed_uri


def _stage(
    file: ReceivedFile,
    kind: FileKind,
    job: _Import,
    rules: Rules,
    connection: psycopg.Connection[Any],
    rejects: Rejects,
    tally: Tally,
) -> str:
    """Read the file to its end into the staging tables; returns the SHA-256 of its plain text."""
    progress = job.run.progress(f"read {file.name}", None, "lines")
    with (
        storage.open_read(file.uri) as stored,
        _plain_text(stored, job.settings.decryption) as plain,
        reader.Digest(plain) as digest,
        Staging(connection) as staging,
        progress,
    ):
        raw = RawLines(digest)
        for batch in kind.batches(raw):
            screened = rules.screen(batch)
            for table, frame in screened.staged.items():
                staging.copy(table, frame)
            rejected = pl.concat([batch.rejects, screened.rejects])
            lines = batch.raw + raw.get(screened.rejects["line_number"])
            order = rejected["line_number"].arg_sort()
            rejects.add(rejected[order], [lines[position] for position in order])
            raw.release(batch.lines)
            tally.add(batch.lines, batch.records, batch.rejects, screened.rejects, screened.staged)
            progress.advance(batch.lines)
        return digest.hexdigest()


@contextmanager
def _plain_text(stored: reader.Source, decryption: Decryption | None) -> Iterator[reader.Source]:
    if decryption is None:
        yield stored
        return
    with gpg.decrypt(stored, decryption.key, decryption.passphrase) as plain:
        yield plain


def _was_imported(connection: psycopg.Connection[Any], digest: str) -> bool:
    return connection.execute("SELECT FROM dor_imported_file WHERE digest = %s", [digest]).fetchone() is not None


def _check_share(tally: Tally, limit: float) -> None:
    if tally.rejected > limit * tally.lines:
        raise TooManyRejects(
            f"{tally.rejected} of {tally.lines} lines are wrong, more than the allowed share of {limit:.2%}. "
            "The reasons are in dor_rejected_line. Ask DOR for a better file, or set REJECTED_SHARE_LIMIT higher."
        )


@contextmanager
def explained(consequence: str) -> Iterator[None]:
    """Say of any error what follows from it for the file."""
    try:
        yield
    except NightferryError as error:
        cause = str(error)
    except psycopg.Error as error:
        cause = f"database error: {described(error)}"
    except OSError as error:
        cause = f"{type(error).__name__}: {error.strerror}"
    else:
        return
    raise JobFailed(f"{consequence}: {cause}")


def described(error: psycopg.Error) -> str:
    """What may be told of ``error``: never its DETAIL and CONTEXT, which quote rows."""
    state = error.sqlstate
    if state is None:  # the connection failed: a message of the client library, without data
        return f"{type(error).__name__}: {error}".strip()
    if state.startswith(_QUOTES_VALUES):
        return f"{type(error).__name__} ({state})"
    return f"{type(error).__name__} ({state}): {error.diag.message_primary}"
