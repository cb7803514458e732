"""Writing of many objects to one folder, with less work per object than ``open_write``.

A file takes five system calls here. Following the path to its folder takes about twenty more for each file, because no
part of the path may be a symbolic link.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from nightferry.storage.files import create_file, make_hidden_name, translate_errors
from nightferry.storage.folders import open_folder, refuse_link
from nightferry.storage.locations import S3Location, check_name
from nightferry.storage.s3 import S3


class FolderWriter(Protocol):
    """Writes objects to one folder. Several threads may use it at once."""

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write an object, which becomes visible only when it is complete. An exception of ``chunks`` discards it.

        A power failure may lose a local file until the caller synchronizes the disk, once for many files.
        """


class S3FolderWriter:
    """Writes objects below a prefix of a bucket."""

    def __init__(self, s3: S3, folder: S3Location, uri: str) -> None:
        self._s3 = s3
        self._folder = folder
        self._prefix = f"{folder.key.rstrip('/')}/".lstrip("/")
        self._uri = uri

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write the object ``name``. See :class:`FolderWriter`."""
        check_name(name, self._uri)
        location = S3Location(self._folder.bucket, f"{self._prefix}{name}")
        with self._s3.write(location, f"s3://{location.bucket}/{location.key}", single_part=False) as stream:
            stream.writelines(chunks)


class FileFolderWriter:
    """Writes files to a folder, which is created if it is missing, and stays open until the writer is not in use."""

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder
        self._uri = uri
        with translate_errors(uri), open_folder(folder, create=True) as descriptor:
            self._descriptor = os.dup(descriptor)
        # Hidden names of complete files. A new name takes longer, because it has another place in the folder.
        self._unused_names: list[str] = []
        weakref.finalize(self, os.close, self._descriptor)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write the file ``name``. See :class:`FolderWriter`."""
        check_name(name, self._uri)
        uri = f"{self._uri}/{name}"
        with translate_errors(uri):
            refuse_link(self._descriptor, name, self._folder)
        try:
            hidden = self._unused_names.pop()
        except IndexError:
            hidden = make_hidden_name()
        with create_file(self._descriptor, hidden, name, uri) as file:
            try:
                for chunk in chunks:
                    with translate_errors(uri):
                        _write_all(file, chunk)
            finally:
                os.close(file)
        self._unused_names.append(hidden)


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
