"""Objects in S3.

Reading resumes where a broken connection left off, as long as the object is still the same. Writing stores small
objects by one request and large ones in parts, which are dropped when the writer fails.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from longshore.storage.errors import NotAllowed, ObjectNotFound, StorageError
from longshore.storage.locations import S3Location
from longshore.storage.objects import StoredObject
from longshore.storage.s3_streams import MultipartWriter, SinglePartWriter, resumable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHANGED = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
_COPY_LIMIT = 5 * 1024**3  # bytes; larger objects are copied in parts


class S3:
    """S3 in one role. The client is made at the first use; it may be shared between threads."""

    def __init__(self, *, role_arn: str | None = None, external_id: str | None = None) -> None:
        self._role_arn = role_arn
        self._external_id = external_id
        self._lock = threading.Lock()
        self._made: S3Client | None = None

    @property
    def client(self) -> S3Client:
        """The client of this role."""
        with self._lock:
            if self._made is None:
                from longshore.credentials import aws_session, client_config

                self._made = aws_session(self._role_arn, self._external_id).client("s3", config=client_config())
            return self._made

    def list(self, folder: S3Location, uri: str) -> list[StoredObject]:
        """The objects directly below the prefix, sorted by name."""
        prefix = f"{folder.key.rstrip('/')}/" if folder.key.strip("/") else ""
        found = []
        with _errors(uri):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=folder.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for item in page.get("Contents", []):
                    name = item["Key"][len(prefix) :]
                    if name:  # the prefix itself may be there, as a placeholder for a folder
                        found.append(
                            StoredObject(
                                name=name,
                                uri=f"s3://{folder.bucket}/{item['Key']}",
                                size=item["Size"],
                                version=item["ETag"].strip('"'),
                                modified=item["LastModified"],
                            )
                        )
        return sorted(found)

    def read(self, location: S3Location, uri: str) -> BinaryIO:
        """The object's bytes."""
        with _errors(uri):
            return resumable(self.client, location.bucket, location.key, lambda: _errors(uri))

    @contextmanager
    def write(self, location: S3Location, uri: str, *, single_part: bool) -> Iterator[BinaryIO]:
        """A new object, stored at the end unless an exception passes."""
        kind = SinglePartWriter if single_part else MultipartWriter
        raw = kind(self.client, location.bucket, location.key, lambda: _errors(uri))
        stream = io.BufferedWriter(raw, 1 << 20)
        try:
            yield cast(BinaryIO, stream)
            if not stream.closed:  # a text wrapper around it may have closed it
                stream.flush()
            raw.complete()
        except BaseException:
            raw.abort()
            raise

    def copy(self, source: S3Location, target: S3Location, uri: str) -> None:
        """Copy within S3, without the bytes passing through this machine."""
        origin = {"Bucket": source.bucket, "Key": source.key}
        with _errors(uri):
            size = self.client.head_object(Bucket=source.bucket, Key=source.key)["ContentLength"]
            if size < _COPY_LIMIT:
                self.client.copy_object(Bucket=target.bucket, Key=target.key, CopySource=origin)  # type: ignore[arg-type]  # a plain dict is what boto3 takes
            else:
                self.client.copy(origin, target.bucket, target.key)  # type: ignore[arg-type]  # as above

    def load(self, location: S3Location, uri: str) -> tuple[bytes, str] | None:
        """A small object's bytes and their version, or None when there is no such object."""
        try:
            with _errors(uri):
                answer = self.client.get_object(Bucket=location.bucket, Key=location.key)
                return answer["Body"].read(), answer["ETag"]
        except ObjectNotFound:
            return None

    def store(self, location: S3Location, uri: str, data: bytes, expected: str | None) -> bool:
        """Write a small object if it still has the version ``expected`` (None: is not there)."""
        from botocore.exceptions import ClientError

        with _errors(uri):
            try:
                if expected is None:
                    self.client.put_object(Bucket=location.bucket, Key=location.key, Body=data, IfNoneMatch="*")
                else:
                    self.client.put_object(Bucket=location.bucket, Key=location.key, Body=data, IfMatch=expected)
            except ClientError as error:
                # 412: it has another version; 409: somebody writes it right now; NoSuchKey: it was deleted
                if error.response.get("Error", {}).get("Code") in _CHANGED:
                    return False
                raise
        return True

    def delete(self, location: S3Location, uri: str) -> None:
        """Delete an object; S3 does not mind one that is not there."""
        with _errors(uri):
            self.client.delete_object(Bucket=location.bucket, Key=location.key)

    def exists(self, location: S3Location, uri: str) -> bool:
        """Whether there is such an object."""
        try:
            with _errors(uri):
                self.client.head_object(Bucket=location.bucket, Key=location.key)
        except ObjectNotFound:
            return False
        return True


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    """AWS's errors as storage errors that name the object."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in ("NoSuchKey", "404", "NotFound", "NoSuchBucket"):
            what = "There is no bucket of" if code == "NoSuchBucket" else "There is no object"
            raise ObjectNotFound(f"{what} {uri}.") from None
        if code in ("AccessDenied", "403", "AllAccessDisabled"):
            raise NotAllowed(
                f"This task's role may not {error.operation_name} {uri}. Check the task's grants."
            ) from None
        raise StorageError(f"{uri}: S3 answered {code} to {error.operation_name}.") from None
    except NoCredentialsError:
        raise NotAllowed(f"{uri}: there are no AWS credentials. Sign in, or set AWS_PROFILE.") from None
    except BotoCoreError as error:
        raise StorageError(f"{uri}: {type(error).__name__}. Is S3 reachable from here?") from None
