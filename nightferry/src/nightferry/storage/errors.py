"""What can go wrong with stored objects."""

from __future__ import annotations

from nightferry.errors import NightferryError


class StorageError(NightferryError):
    """An object or folder cannot be used; the message names it and says why."""


class InvalidLocation(StorageError):
    """A location that is none, or that leads out of its folder. Use s3://bucket/key, file:///path or /path."""


class ObjectNotFound(StorageError):
    """There is no such object. Check the location, and whether somebody has moved it."""


class ObjectChanged(StorageError):
    """The object was replaced or removed while it was used. Nothing was done with the new one; try again."""


class NotAllowed(StorageError):
    """The storage refuses access. Check the task's grants (``nightferry verify``), or the folder's permissions."""
