"""The files that DOR has sent and that wait to be imported, and where they go.

DOR may send different files under one name. The first that is imported keeps the name, ``NAME`` in ``processed`` and
``NAME.rej`` in ``rejected``; the second becomes ``NAME.2`` and ``NAME.2.rej``, and so on: see :func:`find_file_number`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from nightferry import storage
from nightferry.job import get_logger
from paidleave.dor import encryption
from paidleave.dor.files.formats import Layout
from paidleave.dor.files.streams import Digest
from paidleave.dor.settings import Decryption

log = get_logger(__name__)

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class ReceivedFile:
    """One complete file in the folder ``received``; its neighbours are the folders for what becomes of it."""

    folder: str
    name: str
    layout: Layout
    modified: datetime | None = field(default=None, compare=False)
    """When it was written last; it stays the same for as long as the file lies there."""

    @property
    def uri(self) -> str:
        """Return the file's address."""
        return storage.join(self.folder, self.name)

    def processed_uri(self, number: int) -> str:
        """Where the file goes once it is imported as number ``number`` of its name."""
        return storage.join(_parent(self.folder), "processed", self._numbered(number))

    def rejected_uri(self, number: int) -> str:
        """Where its rejected lines go."""
        return storage.join(_parent(self.folder), "rejected", f"{self._numbered(number)}.rej")

    def _numbered(self, number: int) -> str:
        return self.name if number == 1 else f"{self.name}.{number}"


def find_files(folder: str, layouts: Sequence[Layout]) -> list[ReceivedFile]:
    """The files of ``layouts`` in ``folder``, layout by layout, each in the order of their names.

    Names must match as a whole: ``….part`` or ``….tmp`` is an upload under way.
    """
    objects = storage.list_objects(folder)
    return [
        ReceivedFile(folder, found.name, layout, found.modified)
        for layout in layouts
        for found in objects
        if layout.matches(found.name)
    ]


@contextmanager
def open_plain_text(file: ReceivedFile, decryption: Decryption | None = None) -> Iterator[Digest]:
    """Yield the plain text of ``file`` as a stream that digests what is read from it.

    Leaving the block raises DecryptionFailed unless an encrypted file was read to its end and verified.
    """
    with (
        storage.open_read(file.uri) as stored,
        encryption.decrypt(stored, decryption.key, decryption.passphrase)
        if decryption
        else nullcontext(stored) as plain,
        Digest(plain) as digest,
    ):
        yield digest


def compute_digest(file: ReceivedFile) -> str:
    """Return the SHA-256 of ``file``, which is not encrypted."""
    with open_plain_text(file) as digest:
        while digest.read(_CHUNK):
            pass
        return digest.hexdigest()


def find_processed_uri(connection: psycopg.Connection[Any], file: ReceivedFile, digest: str) -> str:
    """Return where ``file``, whose content has the digest, goes once it is imported."""
    return file.processed_uri(find_file_number(connection, file.name, digest))


def log_trigger_outcome(key: str, folder: str, handled: Sequence[ReceivedFile]) -> None:
    """Log what became of the object ``key`` whose arrival started a run that has ``handled`` files of ``folder``."""
    name = key.rpartition("/")[2]
    if any(file.name == name for file in handled):
        what = "was handled by this run"
    elif name and storage.exists(storage.join(folder, name)):
        what = "is no complete file by its name: it stays until it has the name of one"
    else:
        what = "is gone: an earlier run has handled it, or somebody took it away"
    log.info("the object that started this run %s", what, extra={"file": name})


def find_file_number(connection: psycopg.Connection[Any], name: str, digest: str | None = None) -> int:
    """Which file of this name it is, from 1, counting only what was imported under the name before it.

    It follows from ``dor_imported_file`` alone, so that a rerun after a crash finds the same number. A file that was
    not imported (or under another name) comes after all that were: the next attempt takes its number over.
    """
    row = connection.execute(
        """
        SELECT count(*) + 1 FROM dor_imported_file
        WHERE name = %(name)s AND NOT coalesce(import_log_id, 0) >= ANY (
            SELECT coalesce(import_log_id, 0) FROM dor_imported_file WHERE name = %(name)s AND digest = %(digest)s
        )
        """,
        {"name": name, "digest": digest},
    ).fetchone()
    assert row is not None
    return int(row[0])


def _parent(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[0]
