"""The operations on objects, wherever they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from nightferry.storage.errors import ObjectNotFound
from nightferry.storage.files import Files
from nightferry.storage.locations import S3Location, parse
from nightferry.storage.objects import Description, StoredObject
from nightferry.storage.s3 import S3

_CHUNK = 1 << 20


class Storage:
    """Reads and writes objects, in S3 with the credentials of one role. Safe to share between threads."""

    def __init__(self, s3: S3) -> None:
        self._files = Files()
        self._s3 = s3

    def list_objects(self, folder_uri: str) -> list[StoredObject]:
        """The objects directly in a folder, sorted by name. A folder that is not there is empty."""
        match parse(folder_uri):
            case S3Location() as folder:
                return self._s3.list(folder, folder_uri)
            case Path() as folder:
                return self._files.list(folder, folder_uri)

    def walk(self, folder_uri: str) -> Iterator[StoredObject]:
        """The objects in a folder and everything below it, one after the other; their names are paths from there."""
        match parse(folder_uri):
            case S3Location() as folder:
                return self._s3.walk(folder, folder_uri)
            case Path() as folder:
                return self._files.walk(folder, folder_uri)

    def describe(self, uri: str) -> Description | None:
        """What is known of an object, or None when it is not there."""
        match parse(uri):
            case S3Location() as location:
                return self._s3.describe(location, uri)
            case Path() as location:
                return self._files.describe(location, uri)

    def open_read(self, uri: str, *, version: str | None = None) -> BinaryIO:
        """The object's bytes as a stream; close it. Raises ObjectNotFound.

        With ``version``, it is that version's bytes or ObjectChanged.
        """
        match parse(uri):
            case S3Location() as location:
                return self._s3.read(location, uri, version)
            case Path() as location:
                return self._files.read(location, uri, version)

    def open_write(
        self, uri: str, *, single_part: bool = False, durable: bool = True, copied_from: str | None = None
    ) -> AbstractContextManager[BinaryIO]:
        """A stream for a new object, which is visible, as a whole, only after a clean end of the context.

        An exception leaves nothing. ``single_part`` stores an S3 object by one request (at most 5 GB), for receivers
        that cannot cope with objects in parts. Without ``durable``, a local file may be lost by a power failure
        until the caller has synchronised the disk: for many small files, where one synchronisation does for all.
        ``copied_from`` is written down with an S3 object, for ``describe``.
        """
        match parse(uri):
            case S3Location() as location:
                return self._s3.write(location, uri, single_part=single_part, copied_from=copied_from)
            case Path() as location:
                return self._files.write(location, uri, single_part=single_part, durable=durable)

    def copy(self, source: str, target: str) -> None:
        """Copy an object; what is at ``target`` is replaced. Raises ObjectNotFound."""
        match parse(source), parse(target):
            case S3Location() as from_s3, S3Location() as to_s3:
                self._s3.copy(from_s3, to_s3, source)
            case Path() as from_file, Path() as to_file:
                self._files.copy(from_file, to_file, source)
            case _:
                with self.open_read(source) as reader, self.open_write(target) as writer:
                    shutil.copyfileobj(reader, writer, _CHUNK)

    def copy_version(self, source: str, target: str, version: str) -> bool:
        """Have S3 itself copy this version of an object; False where it can't, because one of the two is a file.

        Raises ObjectChanged when it has another version by now.
        """
        match parse(source), parse(target):
            case S3Location() as from_s3, S3Location() as to_s3:
                self._s3.copy(from_s3, to_s3, source, version)
                return True
        return False

    def move(self, source: str, target: str) -> None:
        """Move an object; what is at ``target`` is replaced.

        It may be called again after a crash at any point: when only ``target`` is left, it is done.
        Raises ObjectNotFound when neither is there.
        """
        if parse(source) == parse(target):
            if not self.exists(source):
                raise ObjectNotFound(f"There is no object {source}.")
            return
        try:
            match parse(source), parse(target):
                case Path() as from_file, Path() as to_file:
                    self._files.move(from_file, to_file, source)
                case _:
                    self.copy(source, target)
                    self.delete(source)
        except ObjectNotFound:
            if not self.exists(target):
                raise

    def load(self, uri: str) -> tuple[bytes, str] | None:
        """A small object as a whole and its version, or None when it is not there."""
        match parse(uri):
            case S3Location() as location:
                return self._s3.load(location, uri)
            case Path() as location:
                return self._files.load(location, uri)

    def store(self, uri: str, data: bytes, *, expected: str | None) -> bool:
        """Write a small object only if its version is still ``expected`` (None: it is not there); False if not."""
        match parse(uri):
            case S3Location() as location:
                return self._s3.store(location, uri, data, expected)
            case Path() as location:
                return self._files.store(location, uri, data, expected)

    def delete(self, uri: str, *, version: str | None = None) -> None:
        """Delete an object; one that is not there is no error.

        With ``version``, only that version is deleted; another one stays, by ObjectChanged.
        """
        match parse(uri):
            case S3Location() as location:
                self._s3.delete(location, uri, version)
            case Path() as location:
                self._files.delete(location, uri, version)

    def exists(self, uri: str) -> bool:
        """Whether there is such an object."""
        match parse(uri):
            case S3Location() as location:
                return self._s3.exists(location, uri)
            case Path() as location:
                return self._files.exists(location, uri)


def session(*, role_arn: str | None = None, external_id: str | None = None) -> Storage:
    """A storage that acts in the role ``role_arn`` (default: with the process's own credentials)."""
    return Storage(S3(role_arn=role_arn, external_id=external_id))
