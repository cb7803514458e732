"""The properties of stored objects."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast


@dataclass(frozen=True, order=True)
class StoredObject:
    """An object in a folder. ``version`` changes whenever the object is written. ``size`` is in bytes.

    ``name`` is relative to the folder: for an object in a subfolder, a path with slashes.
    """

    name: str
    uri: str
    size: int
    version: str
    modified: datetime


@dataclass(frozen=True)
class Description:
    """The properties of one object.

    ``md5`` is the hexadecimal digest of the content, if the storage has it. ``copied_from`` is the version of the
    object that this object is a copy of, if the copy recorded it.
    """

    size: int
    version: str
    modified: datetime
    md5: str | None = None
    copied_from: str | None = None


class _Versioned(Protocol):
    @property
    def version(self) -> str: ...


class StoredStream(io.BufferedReader):
    """The content of one version of an object. ``raw``, the stream below, has the version."""

    @property
    def version(self) -> str:
        """The version of the content, for a later move or deletion of this version only.

        For a file it is more exact than the version in listings, and is final after the end has been read.
        """
        return cast(_Versioned, self.raw).version
