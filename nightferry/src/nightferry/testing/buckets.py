"""A bucket for tests of jobs: a folder, or a bucket in moto's S3, which exists only in this process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nightferry import storage
from nightferry.errors import needs_extra


@dataclass(frozen=True)
class FakeBucket:
    """A bucket, addressed by its ``uri`` (``file:///…`` or ``s3://…``) as the buckets of a job are."""

    uri: str

    def __truediv__(self, key: str) -> str:
        """Return the location of a key or prefix, for a job's settings: ``{"FOLDER_PATH": bucket / "received"}``."""
        return storage.join(self.uri, *key.split("/"))

    def put(self, key: str, content: bytes | str) -> str:
        """Store an object and return its location; text is encoded as UTF-8."""
        with storage.open_write(self / key) as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return self / key

    def get(self, key: str) -> bytes:
        """Return the content of an object. Raises :class:`nightferry.storage.ObjectNotFound`."""
        with storage.open_read(self / key) as file:
            return file.read()

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects that start with ``prefix``, sorted."""
        return sorted(found.name for found in storage.walk(self.uri) if found.name.startswith(prefix))


@contextmanager
def emulate_s3() -> Iterator[FakeBucket]:
    """Let moto respond to this process's calls of AWS, and yield a new bucket. It needs the extra ``testing``."""
    with needs_extra("testing"):
        from moto import mock_aws

    from nightferry.credentials import aws_session, client_config

    emulated = mock_aws()
    emulated.start(reset=False)  # the state of moto belongs to the process, which may also run a FakeFargate
    storage.forget_client()
    try:
        name = f"test-{uuid.uuid4()}"
        aws_session().client("s3", config=client_config()).create_bucket(Bucket=name)
        yield FakeBucket(f"s3://{name}")
    finally:
        storage.forget_client()
        emulated.stop()
