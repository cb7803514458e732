"""Streams from and to S3 with constant memory."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from nightferry.storage.errors import ObjectChanged, StorageError
from nightferry.storage.locations import S3Location
from nightferry.storage.objects import StoredStream

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef
    from typing_extensions import Buffer

READ_ATTEMPTS = 10
"""The number of consecutive broken connections, without a byte received in between, after which reading fails."""

_BUFFER = 1 << 20
_PART = 8 << 20  # bytes of the first parts; S3 requires at least 5 MB
_PARTS_BEFORE_LARGER = 1000  # The part size then doubles, so that 10,000 parts can hold the largest object (5 TB).
_IN_MEMORY = 16 << 20
_SINGLE_PUT_LIMIT = 5 * 1024**3

Errors = Callable[[], AbstractContextManager[None]]


def open_resumable(
    client: S3Client, location: S3Location, errors: Errors, is_missing: Callable[[], bool], version: str | None = None
) -> StoredStream:
    """Open an object as a stream that resumes after broken connections, at ``version`` if that is given.

    Opening raises botocore's errors. Reading raises errors translated by ``errors``. ``is_missing`` returns
    True if an object that S3 refuses does not exist.
    """
    return StoredStream(_Reader(client, location, errors, is_missing, version), _BUFFER)


def quote_version(version: str) -> str:
    """Return a version as an entity tag in a header (RFC 9110, section 8.8.3)."""
    return f'"{version}"'


class _Reader(io.RawIOBase):
    """An object's content. After a broken connection, it requests the rest of the same version."""

    def __init__(
        self,
        client: S3Client,
        location: S3Location,
        errors: Errors,
        is_missing: Callable[[], bool],
        version: str | None,
    ) -> None:
        self._client = client
        self._bucket = bucket = location.bucket
        self._key = key = location.key
        self._uri = f"s3://{bucket}/{key}"
        self._errors = errors
        self._is_missing = is_missing
        self._position = 0
        condition: Any = {} if version is None else {"IfMatch": quote_version(version)}
        response = client.get_object(Bucket=bucket, Key=key, **condition)
        self._version: str = response["ETag"]
        self._size = response["ContentLength"]
        self._body: Any = response["Body"]

    @property
    def version(self) -> str:
        """The version, as in listings."""
        return self._version.strip('"')

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read the next bytes; return 0 at the end of the object. Raises ObjectChanged if the object has changed."""
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError

        view = memoryview(buffer).cast("B")
        for attempt in range(1, READ_ATTEMPTS + 1):
            if self._position == self._size:
                return 0
            with self._errors():
                try:
                    if self._body is None:
                        self._body = self._open_rest()
                    chunk = self._body.read(len(view))
                    if not chunk:
                        raise IncompleteReadError(actual_bytes=self._position, expected_bytes=self._size)
                except ClientError as error:
                    code = error.response.get("Error", {}).get("Code")
                    if code in ("PreconditionFailed", "412", "NoSuchKey") or (
                        code == "AccessDenied" and self._is_missing()
                    ):
                        raise ObjectChanged(
                            f"{self._uri} was replaced or removed during the read. Try again."
                        ) from None
                    raise
                except (HTTPClientError, IncompleteReadError, ResponseStreamingError):
                    self._close_body()
                    if attempt == READ_ATTEMPTS:
                        raise
                    continue
            view[: len(chunk)] = chunk
            self._position += len(chunk)
            return len(chunk)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def close(self) -> None:
        """Release the connection."""
        self._close_body()
        super().close()

    def _open_rest(self) -> Any:
        return self._client.get_object(
            Bucket=self._bucket, Key=self._key, Range=f"bytes={self._position}-", IfMatch=self._version
        )["Body"]

    def _close_body(self) -> None:
        body, self._body = getattr(self, "_body", None), None
        if body is not None:
            with suppress(Exception):  # The connection is broken or no longer needed.
                body.close()


class _Writer(io.RawIOBase):
    """A stream that writes a new object."""

    def __init__(self, client: S3Client, bucket: str, key: str, errors: Errors, metadata: dict[str, str]) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._errors = errors
        self._metadata = metadata

    def writable(self) -> bool:
        """Return True."""
        return True


class MultipartWriter(_Writer):
    """A writer that uploads parts; it stores an object smaller than one part with a single request."""

    def __init__(self, client: S3Client, bucket: str, key: str, errors: Errors, metadata: dict[str, str]) -> None:
        super().__init__(client, bucket, key, errors, metadata)
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[CompletedPartTypeDef] = []

    def write(self, data: Buffer) -> int:
        """Buffer all of ``data``, and upload a part when the buffer has enough bytes."""
        view = memoryview(data).cast("B")
        self._buffer += view
        size = _PART << min(len(self._parts) // _PARTS_BEFORE_LARGER, 6)
        while len(self._buffer) >= size:
            self._send(bytes(self._buffer[:size]))
            del self._buffer[:size]
        return len(view)

    def complete(self) -> None:
        """Complete the upload, which makes the object visible."""
        with self._errors():
            if self._upload is None:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._key, Body=bytes(self._buffer), Metadata=self._metadata
                )
                return
            if self._buffer:
                self._send(bytes(self._buffer))
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
            )

    def abort(self) -> None:
        """Discard the upload. If this fails, the bucket's lifecycle rule removes the remaining parts."""
        self.close()
        self._buffer.clear()
        if self._upload is not None:
            with suppress(Exception):  # Preserve the exception that led to the abort.
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload)

    def _send(self, part: bytes) -> None:
        number = len(self._parts) + 1
        with self._errors():
            if self._upload is None:
                self._upload = self._client.create_multipart_upload(
                    Bucket=self._bucket, Key=self._key, Metadata=self._metadata
                )["UploadId"]
            response = self._client.upload_part(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload, PartNumber=number, Body=part
            )
        self._parts.append({"PartNumber": number, "ETag": response["ETag"]})


class SinglePartWriter(_Writer):
    """A writer that buffers the whole object, on disk beyond 16 MB, and stores it with one request."""

    def __init__(self, client: S3Client, bucket: str, key: str, errors: Errors, metadata: dict[str, str]) -> None:
        super().__init__(client, bucket, key, errors, metadata)
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed by complete or abort

    def write(self, data: Buffer) -> int:
        """Buffer all of ``data``."""
        return self._file.write(bytes(memoryview(data)))

    def complete(self) -> None:
        """Complete the upload, which makes the object visible."""
        if self._file.tell() > _SINGLE_PUT_LIMIT:
            raise StorageError(
                f"s3://{self._bucket}/{self._key} exceeds 5 GB, the limit for an object that is stored in one part."
            )
        self._file.seek(0)
        with self._errors():
            self._client.put_object(
                Bucket=self._bucket, Key=self._key, Body=cast(BinaryIO, self._file), Metadata=self._metadata
            )
        self._file.close()

    def abort(self) -> None:
        """Discard the object."""
        self.close()
        self._file.close()
