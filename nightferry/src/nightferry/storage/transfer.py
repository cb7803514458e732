"""Copies of objects from one storage to another, verified, and recognised again.

Where both objects are in S3 and one storage's credentials reach both, S3 copies by itself; else the bytes pass
through this machine in pieces. A copy is believed only after its size and, where the storage or a second reading
gives one, its digest are those of the source.
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
    """What arrived is not what was sent. The source is untouched; run it again."""


def is_copy(source: StoredObject, origin: Storage, target: str, storage: Storage) -> bool:
    """Whether ``target`` holds a copy of this version of ``source``.

    An object in S3 says so itself (its ETag, or the version that it was copied from); a file is read and compared.
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

    ``advance`` is called with the number of bytes after each piece; an exception from it ends the copy and leaves
    nothing. Raises ObjectChanged when the source has another version by now, CopyDiffers when the copy is wrong.
    """
    digest = None
    if origin is storage and storage.copy_version(source.uri, target, source.version):
        if advance is not None:
            advance(source.size)
    else:
        digest = _stream(source, origin, target, storage, advance)
    found = storage.describe(target)
    if found is None or found.size != source.size:
        raise CopyDiffers(f"{target} has {found.size if found else 'no'} bytes and its source {source.size}.")
    if digest is not None:
        arrived = compute_md5(storage, target) if isinstance(parse(target), Path) else found.md5
        if arrived is not None and arrived != digest:
            raise CopyDiffers(f"{target} has another content than its source.")


def _stream(
    source: StoredObject, origin: Storage, target: str, storage: Storage, advance: Callable[[int], None] | None
) -> str:
    """Copy through this machine; the answer is the digest of what passed."""
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
            raise ObjectChanged(f"{source.uri} was replaced while it was copied.")
        if known.md5 is not None and known.md5 != digest.hexdigest():
            raise CopyDiffers(f"{source.uri} did not arrive as its storage has it.")
    return digest.hexdigest()


def compute_md5(storage: Storage, uri: str, version: str | None = None) -> str:
    """Return the hexadecimal MD5 of an object's content, read as a stream."""
    digest = hashlib.md5(usedforsecurity=False)
    with storage.open_read(uri, version=version) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
