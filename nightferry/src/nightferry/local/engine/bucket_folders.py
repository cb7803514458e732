"""Access to local buckets by bucket and key, for distributed Map states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry import storage
from nightferry.local.store.objects import is_hidden
from nightferry.states.machine.items import ListedObject
from nightferry.storage.transfer import compute_md5


class BucketFolders:
    """The folders below ``buckets`` that represent buckets. A bucket is given by its name or its folder's URI."""

    def __init__(self, buckets: Path) -> None:
        self._buckets = buckets.resolve()
        self._objects = storage.session()

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object's content; raises LookupError if it cannot be read."""
        with _translate_errors(), self._objects.open_read(self._make_uri(bucket, key)) as file:
            return file.read()

    def list(self, bucket: str, prefix: str) -> Iterator[ListedObject]:
        """Yield the objects whose keys begin with ``prefix``, in key order."""
        with _translate_errors():
            for found in sorted(self._objects.walk(self._make_uri(bucket, ""))):
                if found.name.startswith(prefix) and not is_hidden(found.name):
                    etag = compute_md5(self._objects, found.uri)
                    yield ListedObject(found.name, found.size, f'"{etag}"', found.modified.timestamp())

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object atomically."""
        with _translate_errors(), self._objects.open_write(self._make_uri(bucket, key)) as file:
            file.write(content)

    def _make_uri(self, bucket: str, key: str) -> str:
        name = bucket.removeprefix(self._buckets.as_uri()).strip("/")
        if not name or "/" in name or any(part in (".", "..") for part in f"{name}/{key}".split("/")):
            raise LookupError(f"Object {key} not found in bucket {bucket}.")
        root = (self._buckets / name).resolve()  # The operator may place the bucket behind a symbolic link.
        return storage.join(root.as_uri(), key) if key else root.as_uri()


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise storage errors as LookupError, as the ``ObjectStore`` interface requires."""
    try:
        yield
    except storage.StorageError as error:
        raise LookupError(str(error)) from None
