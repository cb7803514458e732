"""Objects in S3.

Reading resumes after a broken connection, as long as the object is unchanged. Writing stores small objects with one
request and large objects in parts. A failed write discards its parts.

S3 returns 403 for a missing object, unless the role may list the whole bucket. The roles of tasks may list only their
prefixes, so that a listing of the object's key decides whether a refused object is missing.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from nightferry.errors import needs_extra
from nightferry.storage.errors import NotAllowed, ObjectChanged, ObjectNotFound, StorageError
from nightferry.storage.locations import S3Location
from nightferry.storage.objects import Description, StoredObject, StoredStream
from nightferry.storage.s3_streams import MultipartWriter, SinglePartWriter, open_resumable, quote_version

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Codes of a failed condition. A HEAD response has no body, so its code is the status. The last one (409) reports a
# concurrent write or deletion.
_CHANGED = ("PreconditionFailed", "412", "ConditionalRequestConflict")
_DENIED = ("AccessDenied", "403", "AllAccessDisabled")
_COPIED_FROM = "nightferry-copied-from"
_COPIED_HEADERS = ("ContentType", "ContentEncoding", "ContentDisposition", "ContentLanguage", "CacheControl")
_MAX_COPY_BYTES = 5 * 1024**3  # bytes; larger objects are copied in parts

Result = TypeVar("Result")


class S3:
    """S3 with the credentials of one role. The client is created at first use. It is safe to share between threads."""

    def __init__(self, *, role_arn: str | None = None, external_id: str | None = None) -> None:
        self._role_arn = role_arn
        self._external_id = external_id
        self._lock = threading.Lock()
        self._client: S3Client | None = None

    @property
    def client(self) -> S3Client:
        """Return the client of this role."""
        with self._lock:
            if self._client is None:
                from nightferry.credentials import aws_session, client_config

                self._client = aws_session(self._role_arn, self._external_id).client("s3", config=client_config())
            return self._client

    def forget_client(self) -> None:
        """Create a new client at the next request, with the environment variables of that time."""
        with self._lock:
            self._client = None

    def list(self, folder: S3Location, uri: str) -> list[StoredObject]:
        """Return the objects directly below the prefix, sorted by name."""
        prefix = f"{folder.key.rstrip('/')}/" if folder.key.strip("/") else ""
        found = []
        with _translate_errors(uri):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=folder.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for item in page.get("Contents", []):
                    name = item["Key"][len(prefix) :]
                    if name:  # An empty name is the placeholder object of the folder itself.
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

    def walk(self, folder: S3Location, uri: str) -> Iterator[StoredObject]:
        """Yield all objects below the prefix in key order."""
        prefix = f"{folder.key.rstrip('/')}/" if folder.key.strip("/") else ""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=prefix)
        waiting = iter(pages)
        while True:
            with _translate_errors(uri):
                page = next(waiting, None)
            if page is None:
                return
            for item in page.get("Contents", []):
                name = item["Key"][len(prefix) :]
                if name and not (name.endswith("/") and item["Size"] == 0):  # not the placeholder of a folder
                    yield StoredObject(
                        name=name,
                        uri=f"s3://{folder.bucket}/{item['Key']}",
                        size=item["Size"],
                        version=item["ETag"].strip('"'),
                        modified=item["LastModified"],
                    )

    def describe(self, location: S3Location, uri: str) -> Description | None:
        """Return an object's properties, or None if it does not exist."""
        try:
            found = self._request(
                location, uri, lambda: self.client.head_object(Bucket=location.bucket, Key=location.key)
            )
        except ObjectNotFound:
            return None
        version = found["ETag"].strip('"')
        # An ETag is the content's MD5 unless the object was uploaded in parts or is encrypted with a KMS key
        # (S3 API reference, "Object").
        is_digest = "-" not in version and not found.get("ServerSideEncryption", "").startswith("aws:")
        return Description(
            size=found["ContentLength"],
            version=version,
            modified=found["LastModified"],
            md5=version if is_digest else None,
            copied_from=found["Metadata"].get(_COPIED_FROM),
        )

    def read(self, location: S3Location, uri: str, version: str | None = None) -> StoredStream:
        """Open an object for reading. With ``version``, raise ObjectChanged if the object has another version."""

        def is_missing() -> bool:
            return self._is_missing(location, uri)

        def open_stream() -> StoredStream:
            return open_resumable(self.client, location, lambda: _translate_errors(uri), is_missing, version)

        return self._request(location, uri, open_stream)

    @contextmanager
    def write(
        self, location: S3Location, uri: str, *, single_part: bool, copied_from: str | None = None
    ) -> Iterator[BinaryIO]:
        """Yield a stream for a new object, which is stored at the end unless the block raises an exception."""
        kind = SinglePartWriter if single_part else MultipartWriter
        metadata = {} if copied_from is None else {_COPIED_FROM: copied_from}
        raw = kind(self.client, location.bucket, location.key, lambda: _translate_errors(uri), metadata)
        stream = io.BufferedWriter(raw, 1 << 20)
        try:
            yield cast(BinaryIO, stream)
            if not stream.closed:  # A text wrapper around the stream may have closed it.
                stream.flush()
            raw.complete()
        except BaseException:
            raw.abort()
            raise

    def copy(
        self, source: S3Location, target: S3Location, uri: str, version: str | None = None, *, record: bool = False
    ) -> None:
        """Copy an object within S3, without transferring its content through this machine.

        With ``version``, raise ObjectChanged if the source has another version. With ``record``, store the version with
        the copy.
        """
        self._request(source, uri, lambda: self._copy(source, target, uri, version, record=record))

    def _copy(self, source: S3Location, target: S3Location, uri: str, version: str | None, *, record: bool) -> None:
        origin: Any = {"Bucket": source.bucket, "Key": source.key}
        more: Any = {}
        found = self.client.head_object(Bucket=source.bucket, Key=source.key)
        if version is not None:
            if found["ETag"].strip('"') != version:
                raise ObjectChanged(f"{uri} was replaced during the operation. Try again.")
            more["CopySourceIfMatch"] = quote_version(version)
        if record:
            more |= {name: found[name] for name in _COPIED_HEADERS if name in found}  # type: ignore[literal-required]  # its own names
            more |= {"MetadataDirective": "REPLACE", "Metadata": found["Metadata"] | {_COPIED_FROM: version}}
        if found["ContentLength"] < _MAX_COPY_BYTES:
            self.client.copy_object(Bucket=target.bucket, Key=target.key, CopySource=origin, **more)
        else:
            self.client.copy(origin, target.bucket, target.key, ExtraArgs=more)

    def load(self, location: S3Location, uri: str) -> tuple[bytes, str] | None:
        """Return a small object's content and version, or None if the object does not exist."""

        def read() -> tuple[bytes, str]:
            response = self.client.get_object(Bucket=location.bucket, Key=location.key)
            return response["Body"].read(), response["ETag"]

        try:
            return self._request(location, uri, read)
        except ObjectNotFound:
            return None

    def store(self, location: S3Location, uri: str, data: bytes, expected: str | None) -> bool:
        """Write a small object and return True, but only if its version is ``expected`` (None: it does not exist)."""
        with needs_extra("aws"):
            from botocore.exceptions import ClientError

        with _translate_errors(uri):
            try:
                if expected is None:
                    self.client.put_object(Bucket=location.bucket, Key=location.key, Body=data, IfNoneMatch="*")
                else:
                    self.client.put_object(Bucket=location.bucket, Key=location.key, Body=data, IfMatch=expected)
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code")
                if code in (*_CHANGED, "NoSuchKey"):  # NoSuchKey: it was deleted.
                    return False
                if code in _DENIED and expected is not None and self._is_missing(location, uri):
                    return False
                raise
        return True

    def delete(self, location: S3Location, uri: str, version: str | None = None) -> None:
        """Delete an object if it exists. With ``version``, raise ObjectChanged if it has another version."""
        condition: Any = {}
        if version is not None:
            condition = {"IfMatch": quote_version(version)}
            # S3 itself evaluates the condition. Not every store that is compatible with S3 does.
            if (found := self.describe(location, uri)) and found.version != version:
                raise ObjectChanged(f"{uri} was replaced during the operation and is not deleted.")
        # With a condition, S3 returns 404 if the object does not exist.
        with suppress(ObjectNotFound):
            self._request(
                location,
                uri,
                lambda: self.client.delete_object(Bucket=location.bucket, Key=location.key, **condition),
            )

    def exists(self, location: S3Location, uri: str) -> bool:
        """Return True if the object exists."""
        return self.describe(location, uri) is not None

    def _request(self, location: S3Location, uri: str, call: Callable[[], Result]) -> Result:
        """Return the result of a call that needs the object. Raises ObjectNotFound also for a 403 of a missing object.

        The call is made a second time if an object appears after the first one was refused.
        """
        for last in (False, True):
            try:
                with _translate_errors(uri):
                    return call()
            except NotAllowed:
                if self._is_missing(location, uri):
                    raise ObjectNotFound(f"Object {uri} not found.") from None
                if last:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _is_missing(self, location: S3Location, uri: str) -> bool:
        """Return True if a listing does not have the object, False if it does or if the role may not list its key."""
        try:
            with _translate_errors(uri):
                # The key itself is the first one in the order of the keys that begin with it.
                page = self.client.list_objects_v2(Bucket=location.bucket, Prefix=location.key, MaxKeys=1)
        except NotAllowed:
            return False
        return all(item["Key"] != location.key for item in page.get("Contents", []))


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """Raise AWS errors as storage errors with the object's location."""
    with needs_extra("aws"):
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        from nightferry.aws_responses import IncompleteResponse, UnusableResponse

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in ("NoSuchKey", "404", "NotFound", "NoSuchBucket"):
            kind = "Bucket of" if code == "NoSuchBucket" else "Object"
            raise ObjectNotFound(f"{kind} {uri} not found.") from None
        if code in _CHANGED:
            raise ObjectChanged(f"{uri} was replaced during the operation. Try again.") from None
        if code in _DENIED:
            raise NotAllowed(
                f"This task's role is not allowed to {error.operation_name} {uri}. Check the task's grants."
            ) from None
        raise StorageError(f"{uri}: {error.operation_name} failed: S3 returned {code}.") from None
    except NoCredentialsError:
        raise NotAllowed(f"{uri}: no AWS credentials found. Sign in, or set AWS_PROFILE.") from None
    except (UnusableResponse, IncompleteResponse) as error:
        raise StorageError(f"{uri}: {error}") from None
    except BotoCoreError as error:
        raise StorageError(f"{uri}: {type(error).__name__}. Check that this machine can reach S3.") from None
