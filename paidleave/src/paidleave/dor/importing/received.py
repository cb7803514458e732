"""Received files that have not been imported, and the folders for processed files and rejected lines.

DOR may send different files with the same name. The first import of a name has the number 1: its file becomes ``NAME``
in ``processed`` and its rejected lines ``NAME.rej`` in ``rejected``. The second has ``NAME.2`` and ``NAME.2.rej``, and
so on: see :func:`find_file_number`. A file that is imported again keeps its place in ``processed``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from nightferry import get_logger, storage
from nightferry.storage import StoredStream
from paidleave.dor import encryption
from paidleave.dor.files.formats import Layout
from paidleave.dor.files.streams import Digest
from paidleave.dor.settings import Decryption
from paidleave.file_limits import BoundedStream, LimitExceeded, SizeLimit
from paidleave.text_stream import TextStream

log = get_logger(__name__)

_CHUNK_BYTES = 1024 * 1024
_TOLERANCE = timedelta(days=1)  # covers the time zones and clocks of DOR, the database and this host


@dataclass(frozen=True)
class ReceivedFile:
    """A complete file in the folder ``received``, which is next to the folders ``processed`` and ``rejected``."""

    folder: str
    name: str
    layout: Layout
    modified: datetime | None = field(default=None, compare=False)
    """The time of the last change, when the file was listed or awaited."""
    size: int = field(default=0, compare=False)
    """The size in bytes as stored, which is the encrypted size if the file is encrypted."""
    version: str | None = field(default=None, compare=False)
    """The version of the object, which changes with its content. This version is read."""

    @property
    def time(self) -> datetime | None:
        """The time in the name, or None if it is not a valid time or more than a day in the future."""
        time = self.layout.parse_time(self.name)
        return time if time and time <= datetime.now(UTC) + _TOLERANCE else None

    @property
    def latest_change(self) -> datetime:
        """The latest change time that lines of this file can have: a day after the file's own time.

        The file's own time is that in its name, or else that of the last change of the object.
        """
        now = datetime.now(UTC)
        return min(self.time or self.modified or now, now) + _TOLERANCE

    @property
    def arrival(self) -> str:
        """The identity of the received object, which differs if the same content is received again."""
        return f"{self.version} {self.modified and self.modified.isoformat()}"

    @property
    def uri(self) -> str:
        """The address of the file."""
        return storage.join(self.folder, self.name)

    def build_processed_uri(self, number: int) -> str:
        """Return the address in ``processed`` for the file with ``number`` among those of its name."""
        return storage.join(_get_parent(self.folder), "processed", self._add_number(number))

    def build_rejected_uri(self, number: int) -> str:
        """Return the address of its rejected lines for the file with ``number`` among those of its name."""
        return storage.join(_get_parent(self.folder), "rejected", f"{self._add_number(number)}.rej")

    def _add_number(self, number: int) -> str:
        return self.name if number == 1 else f"{self.name}.{number}"


def find_files(folder: str, layouts: Sequence[Layout]) -> list[ReceivedFile]:
    """Return the files of ``layouts`` in ``folder``, ordered by layout and name.

    The whole name must match, so that unfinished uploads such as ``….part`` or ``….tmp`` are ignored.
    """
    objects = storage.list_objects(folder)
    return [
        ReceivedFile(folder, found.name, layout, found.modified, found.size, found.version)
        for layout in layouts
        for found in objects
        if layout.matches(found.name)
    ]


def await_complete(file: ReceivedFile, quiet_seconds: float) -> ReceivedFile:
    """Wait until a file has not changed for ``quiet_seconds``, and return it with its present version.

    A file that was replaced since it was listed is thus read as its newer self.

    Raises:
        StorageError: The file still changes, or it was removed.
    """
    storage.wait_until_quiet(file.uri, quiet_seconds)
    found = storage.describe(file.uri)
    if found is None:
        raise storage.ObjectNotFound(f"Object {file.uri} not found. It was removed after it was listed.")
    return replace(file, modified=found.modified, size=found.size, version=found.version)


class PlainText(TextStream):
    """The text of a received file. The digest is that of all its bytes, including skipped marks."""

    def __init__(self, digest: Digest, layout: Layout, stored: StoredStream) -> None:
        super().__init__(digest, [format.width for format in layout.formats])
        self._digest = digest
        self._stored = stored

    @property
    def version(self) -> str:
        """The version of the file that was read; it is final at the end of the text."""
        return self._stored.version

    def hexdigest(self) -> str:
        """Return the digest of the bytes read so far, as 64 hexadecimal digits."""
        return self._digest.hexdigest()


@contextmanager
def open_plain_text(file: ReceivedFile, limit: SizeLimit, decryption: Decryption | None = None) -> Iterator[PlainText]:
    """Yield the plain text of this version of ``file`` as a stream that computes its digest.

    Raises:
        DecryptionFailed: The block ended, but an encrypted file was not read to its end and verified.
        LimitExceeded: The plain text is longer than ``limit``.
        ObjectChanged: The file has another version, or it was changed while it was being read.
        UnusableText: The file is in UTF-16 or encrypted, or its lines end with CR only.
    """
    if decryption is None and file.size > limit.size:
        raise LimitExceeded(limit.text)
    with (
        storage.open_read(file.uri, version=file.version) as stored,
        encryption.decrypt(stored, decryption.key, decryption.passphrase, decryption.signer_keys)
        if decryption
        else nullcontext(stored) as plain,
        Digest(BoundedStream(plain, limit)) as digest,
    ):
        yield PlainText(digest, file.layout, stored)


def read_digest(file: ReceivedFile) -> tuple[str, str]:
    """Return the SHA-256 and the version of the unencrypted ``file``."""
    with storage.open_read(file.uri, version=file.version) as stored, Digest(stored) as digest:
        while digest.read(_CHUNK_BYTES):
            pass
        return digest.hexdigest(), stored.version


def move_to_processed(file: ReceivedFile, target: str, version: str) -> bool:
    """Move this version of ``file``; return False if the file has another version, which remains, or was removed.

    Raises:
        StorageError: The file cannot be moved.
    """
    try:
        storage.move(file.uri, target, version=version)
    except storage.ObjectChanged:
        log.warning(
            "the file was replaced or changed after it was read. The present version remains in place for the next run",
            extra={"event": "file_replaced", "file": file.name},
        )
        return False
    except storage.ObjectNotFound:
        if storage.exists(file.uri):  # not found is the bucket of the target
            raise
        log.warning(
            "the file was removed after it was read, so it is not in 'processed'",
            extra={"event": "file_removed", "file": file.name},
        )
        return False
    return True


def compute_plain_digest(file: ReceivedFile, limit: SizeLimit, decryption: Decryption | None) -> str:
    """Return the SHA-256 of the plain text of ``file``; raise the errors of :func:`open_plain_text`."""
    with open_plain_text(file, limit, decryption) as plain:
        while plain.read(_CHUNK_BYTES):
            pass
        return plain.hexdigest()


def find_processed_uri(connection: psycopg.Connection[Any], file: ReceivedFile, digest: str) -> str:
    """Return the address in ``processed`` for ``file``, whose content has ``digest``."""
    return file.build_processed_uri(find_file_number(connection, file.name, digest))


def log_trigger_outcome(key: str, folder: str, handled: Sequence[ReceivedFile]) -> None:
    """Log the outcome for the object ``key`` that triggered the run; ``handled`` are the files of the run."""
    name = key.rpartition("/")[2]
    if any(file.name == name for file in handled):
        outcome = "was processed by this run"
    elif name and storage.exists(storage.join(folder, name)):
        outcome = "was skipped: its name is not that of a complete file"
    else:
        outcome = "was not found: an earlier run has processed it, or it was removed"
    log.info("the object that triggered this run %s", outcome, extra={"file": name})


def find_file_number(connection: psycopg.Connection[Any], name: str, digest: str | None = None) -> int:
    """Return the number of the first import of ``digest`` among the imports of files with this name, from 1.

    The number depends on ``dor_imported_file`` only, so that a rerun after a crash finds the same one. Content that was
    not imported under this name gets the next number. If its import fails, the next attempt uses that number again.
    """
    row = connection.execute(
        """
        SELECT count(*) + 1 FROM dor_imported_file
        WHERE name = %(name)s AND replayed_import_log_id IS NULL AND NOT import_log_id >= ANY (
            SELECT import_log_id FROM dor_imported_file
            WHERE name = %(name)s AND digest = %(digest)s AND replayed_import_log_id IS NULL
        )
        """,
        {"name": name, "digest": digest},
    ).fetchone()
    assert row is not None
    return int(row[0])


def _get_parent(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[0]
