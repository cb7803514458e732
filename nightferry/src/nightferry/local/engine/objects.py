"""The buckets of this machine, for what reads and writes objects by bucket and key: a distributed Map."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from nightferry.states.machine.items import ListedObject


class BucketFolders:
    """Folders below ``buckets`` that stand for buckets. A bucket is named by itself or by its folder's URI."""

    def __init__(self, buckets: Path) -> None:
        self._buckets = buckets.resolve()

    def read(self, bucket: str, key: str) -> bytes:
        """An object's content; raises LookupError where there is none."""
        try:
            return self._path(bucket, key).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise LookupError(f"There is no object {key} in bucket {bucket}.") from None

    def list(self, bucket: str, prefix: str) -> Iterator[ListedObject]:
        """The objects whose keys begin with ``prefix``, in the order of their keys."""
        folder = self._path(bucket, "")
        files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        found = sorted((path.relative_to(folder).as_posix(), path) for path in files)
        for key, path in found:
            if key.startswith(prefix):
                status = path.stat()
                etag = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
                yield ListedObject(key, status.st_size, f'"{etag}"', status.st_mtime)

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Make an object, visible as a whole or not at all."""
        path = self._path(bucket, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_bytes(content)
        temporary.replace(path)

    def _path(self, bucket: str, key: str) -> Path:
        name = bucket.removeprefix(self._buckets.as_uri()).strip("/")
        path = (self._buckets / name / key).resolve()
        if not name or "/" in name or not path.is_relative_to(self._buckets / name):
            raise LookupError(f"There is no object {key} in bucket {bucket}.")
        return path
