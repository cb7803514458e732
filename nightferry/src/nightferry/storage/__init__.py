"""Objects in S3 or in local folders, under one small interface.

Locations are ``s3://bucket/key``, ``file:///absolute/path`` (percent-encoded) and plain absolute paths. The functions
of this package use the process's own credentials. :func:`session` returns the same operations for another role::

    vendor = storage.session(role_arn=settings.role_arn, external_id=settings.external_id)
    with vendor.open_write("s3://vendor-bucket/folder/file.csv") as file: ...
"""

from nightferry.storage.errors import (
    InvalidLocation,
    LinkRefused,
    NotAllowed,
    ObjectChanged,
    ObjectNotFound,
    StillChanging,
    StorageError,
)
from nightferry.storage.files import HIDDEN_PREFIX
from nightferry.storage.folder_writers import FolderWriter
from nightferry.storage.locations import Location, join, name, parse
from nightferry.storage.objects import Description, StoredObject, StoredStream
from nightferry.storage.session import Storage, session
from nightferry.storage.transfer import is_copy, transfer

__all__ = [
    "HIDDEN_PREFIX",
    "Description",
    "FolderWriter",
    "InvalidLocation",
    "LinkRefused",
    "Location",
    "NotAllowed",
    "ObjectChanged",
    "ObjectNotFound",
    "StillChanging",
    "Storage",
    "StorageError",
    "StoredObject",
    "StoredStream",
    "copy",
    "delete",
    "describe",
    "exists",
    "forget_client",
    "is_copy",
    "join",
    "list_objects",
    "load",
    "move",
    "name",
    "open_folder",
    "open_read",
    "open_write",
    "parse",
    "session",
    "store",
    "transfer",
    "wait_until_quiet",
    "walk",
]

_own = session()
forget_client = _own.forget_client
list_objects = _own.list_objects
walk = _own.walk
describe = _own.describe
open_read = _own.open_read
wait_until_quiet = _own.wait_until_quiet
open_write = _own.open_write
open_folder = _own.open_folder
move = _own.move
copy = _own.copy
delete = _own.delete
exists = _own.exists
load = _own.load
store = _own.store
