"""Operations on objects in S3 and in local folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from nightferry.storage.errors import ObjectNotFound
from nightferry.storage.files import Files
from nightferry.storage.folder_writers import FileFolderWriter, FolderWriter, S3FolderWriter
from nightferry.storage.locations import S3Location, parse
from nightferry.storage.objects import Description, StoredObject, StoredStream
from nightferry.storage.s3 import S3

_CHUNK = 1 << 20


class Storage:
    """Operations on objects, in S3 with the credentials of one role. A storage is safe to share between threads."""

    def __init__(self, s3: S3) -> None:
        self._files = Files()
        self._s3 = s3

    def forget_client(self) -> None:
        """Create a new client at the next request, with the environment variables of that time."""
        self._s3.forget_client()

    def list_objects(self, folder_uri: str) -> list[StoredObject]:
        """Return the objects directly in a folder, sorted by name; an empty list if the folder does not exist."""
        match parse(folder_uri):
            case S3Location() as folder:
                return self._s3.list(folder, folder_uri)
            case Path() as folder:
                return self._files.list(folder, folder_uri)

    def walk(self, folder_uri: str) -> Iterator[StoredObject]:
        """Yield the objects in a folder and its subfolders. Their names are paths relative to the folder."""
        match parse(folder_uri):
            case S3Location() as folder:
                return self._s3.walk(folder, folder_uri)
            case Path() as folder:
                return self._files.walk(folder, folder_uri)

    def describe(self, uri: str) -> Description | None:
        """Return an object's properties, or None if it does not exist."""
        match parse(uri):
            case S3Location() as location:
                return self._s3.describe(location, uri)
            case Path() as location:
                return self._files.describe(location, uri)

    def open_read(self, uri: str, *, version: str | None = None) -> StoredStream:
        """Open an object as a stream, which the caller must close. Raises ObjectNotFound.

        With ``version``, raises ObjectChanged if the object has another version. A file that is changed while it is
        being read raises ObjectChanged at its end.
        """
        match parse(uri):
            case S3Location() as location:
                return self._s3.read(location, uri, version)
            case Path() as location:
                return self._files.read(location, uri, version)

    def wait_until_quiet(self, uri: str, seconds: float) -> None:
        """Wait until a file has not changed for some seconds, and no process is known to have it open for writing.

        S3 objects become visible only when they are complete, so it does not wait for them. Raises StillChanging if
        the file still changes after ten times this period.
        """
        match parse(uri):
            case Path() as location:
                self._files.wait_until_quiet(location, uri, seconds)

    def open_write(
        self, uri: str, *, single_part: bool = False, copied_from: str | None = None
    ) -> AbstractContextManager[BinaryIO]:
        """Open a stream for a new object, which becomes visible only after the context ends without an exception.

        An exception discards the object. ``single_part`` stores an S3 object with one request (at most 5 GB), for
        receivers that do not support multipart objects. ``copied_from`` is stored with an S3 object, and ``describe``
        returns it.
        """
        match parse(uri):
            case S3Location() as location:
                return self._s3.write(location, uri, single_part=single_part, copied_from=copied_from)
            case Path() as location:
                return self._files.write(location, uri, single_part=single_part)

    def open_folder(self, folder_uri: str) -> FolderWriter:
        """Return a writer of many objects to one folder. A missing local folder is created."""
        match parse(folder_uri):
            case S3Location() as prefix:
                return S3FolderWriter(self._s3, prefix, folder_uri)
            case Path() as folder:
                return FileFolderWriter(folder, folder_uri)

    def copy(self, source: str, target: str, *, version: str | None = None) -> None:
        """Copy an object, replacing ``target``. Raises ObjectNotFound.

        With ``version``, raises ObjectChanged if the source has another version.
        """
        match parse(source), parse(target):
            case S3Location() as from_s3, S3Location() as to_s3:
                self._s3.copy(from_s3, to_s3, source, version)
            case Path() as from_file, Path() as to_file:
                self._files.copy(from_file, to_file, source, version)
            case _:
                with self.open_read(source, version=version) as reader, self.open_write(target) as writer:
                    shutil.copyfileobj(reader, writer, _CHUNK)

    def copy_version(self, source: str, target: str, version: str) -> bool:
        """Copy this version of an object within S3; return False if the source or the target is a file.

        Raises ObjectChanged if the source has another version.
        """
        match parse(source), parse(target):
            case S3Location() as from_s3, S3Location() as to_s3:
                self._s3.copy(from_s3, to_s3, source, version, record=True)
                return True
        return False

    def move(self, source: str, target: str, *, version: str) -> None:
        """Move this version of an object, replacing ``target``.

        The call can be repeated after a crash at any point: it succeeds if only ``target`` exists.
        Raises ObjectChanged if the source has another version, which remains in place, and ObjectNotFound if neither
        source nor target exists.
        """
        if parse(source) == parse(target):
            if not self.exists(source):
                raise ObjectNotFound(f"Object {source} not found.")
            return
        try:
            match parse(source), parse(target):
                case Path() as from_file, Path() as to_file:
                    self._files.move(from_file, to_file, source, version)
                case _:
                    self.copy(source, target, version=version)
                    self.delete(source, version=version)
        except ObjectNotFound:
            if not self.exists(target):
                raise

    def load(self, uri: str) -> tuple[bytes, str] | None:
        """Return a small object's content and version, or None if it does not exist."""
        match parse(uri):
            case S3Location() as location:
                return self._s3.load(location, uri)
            case Path() as location:
                return self._files.load(location, uri)

    def store(self, uri: str, data: bytes, *, expected: str | None) -> bool:
        """Write a small object and return True, but only if its version is ``expected`` (None: it does not exist)."""
        match parse(uri):
            case S3Location() as location:
                return self._s3.store(location, uri, data, expected)
            case Path() as location:
                return self._files.store(location, uri, data, expected)

    def delete(self, uri: str, *, version: str | None = None) -> None:
        """Delete an object if it exists.

        With ``version``, raises ObjectChanged if the object has another version, and retains the object.
        """
        match parse(uri):
            case S3Location() as location:
                self._s3.delete(location, uri, version)
            case Path() as location:
                self._files.delete(location, uri, version)

    def exists(self, uri: str) -> bool:
        """Return True if the object exists."""
        match parse(uri):
            case S3Location() as location:
                return self._s3.exists(location, uri)
            case Path() as location:
                return self._files.exists(location, uri)


def session(*, role_arn: str | None = None, external_id: str | None = None) -> Storage:
    """Return a storage that assumes the role ``role_arn`` (default: it uses the process's own credentials)."""
    return Storage(S3(role_arn=role_arn, external_id=external_id))
