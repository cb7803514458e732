"""What is known of a stored object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, order=True)
class StoredObject:
    """An object in a folder. ``version`` changes whenever the content is written anew; ``size`` is in bytes.

    ``name`` is what follows the folder's location: for an object of a subfolder, a path with slashes.
    """

    name: str
    uri: str
    size: int
    version: str
    modified: datetime


@dataclass(frozen=True)
class Description:
    """What the storage tells of one object.

    ``md5`` is the digest of the content (hexadecimal), where the storage knows it. ``copied_from`` is the version of
    the object that this one is a copy of, where whoever copied it had it written down.
    """

    size: int
    version: str
    modified: datetime
    md5: str | None = None
    copied_from: str | None = None
