"""The errors of the storage."""

from __future__ import annotations

from nightferry.errors import NightferryError


class StorageError(NightferryError):
    """An operation on an object or folder failed. The message has its location and the reason."""


class InvalidLocation(StorageError):
    """A location is malformed or leads out of its folder. Use s3://bucket/key, file:///path or /path."""


class ObjectNotFound(StorageError):
    """The object does not exist. Check the location, and whether another process has moved the object."""


class ObjectChanged(StorageError):
    """The object was replaced or removed during the operation. The new version is unchanged; try again."""


class LinkRefused(StorageError):
    """A part of the path is a symbolic link, which is not followed. Replace it with the file or folder itself."""


class StillChanging(StorageError):
    """A file changes again and again, so it is not known to be complete. Start again after it has been written."""


class NotAllowed(StorageError):
    """Access was denied. Check the task's grants (``nightferry verify``) or the folder's permissions."""
