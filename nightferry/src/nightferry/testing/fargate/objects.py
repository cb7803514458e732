"""The objects of moto's S3, for the workflows of the fake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.states.machine.items import ListedObject


class Objects:
    """See :class:`nightferry.states.machine.items.ObjectStore`. A bucket is created by its first object."""

    def __init__(self, account: str, partition: str, region: str) -> None:
        from moto.backends import get_backend

        self._s3: Any = get_backend("s3")[account][partition]
        self._region = region

    def read(self, bucket: str, key: str) -> bytes:
        """Return the content of an object. Raises LookupError."""
        found = self._s3.get_object(bucket, key) if bucket in self._s3.buckets else None
        if found is None:
            raise LookupError(f"Object {key} not found in bucket {bucket}.")
        content: bytes = found.value
        return content

    def list(self, bucket: str, prefix: str) -> Iterator[ListedObject]:
        """Yield the objects under a prefix, in key order."""
        if bucket in self._s3.buckets:
            keys = self._s3.list_objects(self._s3.buckets[bucket], prefix, None, None, None)[0]
            for found in sorted(keys, key=lambda key: key.name):
                yield ListedObject(found.name, found.size, found.etag, found.last_modified.timestamp())

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""
        if bucket not in self._s3.buckets:
            self._s3.create_bucket(bucket, self._region)
        self._s3.put_object(bucket, key, content)
