"""Verified copies of objects from one storage to another.

S3 copies the object itself if both locations are in S3 and one storage's credentials reach both. Otherwise the content
passes through this machine in chunks. A copy is verified by its size and, if the storage or a second read provides one,
its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from nightferry.storage.errors import ObjectChanged, StorageError
from nightferry.storage.locations import parse
from nightferry.storage.objects import StoredObject
from nightferry.storage.session import Storage

_CHUNK = 1 << 20


class CopyDiffers(StorageError):
    """A copy differs from its source. The source is unchanged; run the transfer again."""


def is_copy(source: StoredObject, origin: Storage, target: str, storage: Storage) -> bool:
    """Return True if ``target`` is a copy of this version of ``source``.

    An S3 object is compared by its ETag or the recorded version of its source. A file is compared by its content.
    """
    found = storage.describe(target)
    if found is None or found.size != source.size:
        return False
    if isinstance(parse(target), Path):
        known = origin.describe(source.uri)
        digest = known.md5 if known and known.version == source.version else None
        return compute_md5(storage, target) == (digest or compute_md5(origin, source.uri, source.version))
    return source.version in (found.copied_from, found.version)


def transfer(
    source: StoredObject,
    origin: Storage,
    target: str,
    storage: Storage,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Copy this version of ``source``, read by ``origin``, to ``target``, written by ``storage``, and verify it.

    ``advance`` is called with the number of bytes after each chunk. An exception from it cancels and discards the copy.
    Raises ObjectChanged if the source has another version, and CopyDiffers if the copy differs from the source.
    """
    digest = None
    if origin is storage and storage.copy_version(source.uri, target, source.version):
        if advance is not None:
            advance(source.size)
    else:
        digest = _stream(source, origin, target, storage, advance)
    found = storage.describe(target)
    if found is None or found.size != source.size:
        raise CopyDiffers(
            f"{target} differs from its source: it has {found.size if found else 'no'} bytes instead of {source.size}."
        )
    if digest is not None:
        arrived = compute_md5(storage, target) if isinstance(parse(target), Path) else found.md5
        if arrived is not None and arrived != digest:
            raise CopyDiffers(f"{target} differs from its source: the digests do not match.")


def _stream(
    source: StoredObject, origin: Storage, target: str, storage: Storage, advance: Callable[[int], None] | None
) -> str:
    """Copy an object through this machine and return the MD5 digest of the content."""
    digest = hashlib.md5(usedforsecurity=False)
    passed = 0
    with (
        origin.open_read(source.uri, version=source.version) as reader,
        storage.open_write(target, copied_from=source.version) as writer,
    ):
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            digest.update(chunk)
            passed += len(chunk)
            if advance is not None:
                advance(len(chunk))
        known = origin.describe(source.uri)
        if known is None or known.version != source.version or passed != source.size:
            raise ObjectChanged(f"{source.uri} was replaced during the copy. Try again.")
        if known.md5 is not None and known.md5 != digest.hexdigest():
            raise CopyDiffers(f"The content read from {source.uri} does not match its stored digest.")
    return digest.hexdigest()


def compute_md5(storage: Storage, uri: str, version: str | None = None) -> str:
    """Return the hexadecimal MD5 of an object's content, read as a stream."""
    digest = hashlib.md5(usedforsecurity=False)
    with storage.open_read(uri, version=version) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
