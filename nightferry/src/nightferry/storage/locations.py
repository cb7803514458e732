"""Where objects are: ``s3://bucket/key``, ``file:///absolute/path`` (percent-encoded) or a plain absolute path.

No location contains ``.`` or ``..``: names that come from outside cannot lead out of their folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from nightferry.storage.errors import InvalidLocation


@dataclass(frozen=True)
class S3Location:
    """An object, or a prefix, in a bucket."""

    bucket: str
    key: str


Location = S3Location | Path


def parse(uri: str) -> Location:
    """What ``uri`` means. Raises InvalidLocation."""
    if uri.startswith("s3://"):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not bucket:
            raise InvalidLocation(f"'{uri}' names no bucket. Write s3://bucket/key.")
        _check(key, uri)
        return S3Location(bucket, key)
    if uri.startswith("file://"):
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise InvalidLocation(f"'{uri}' is no file on this machine. Write file:///absolute/path, percent-encoded.")
        return _path(unquote(parts.path, errors="surrogateescape"), uri)
    if "://" in uri.partition("/")[0] + "/" or not uri.startswith("/"):
        raise InvalidLocation(f"'{uri}' is no location. Write s3://bucket/key, file:///path or an absolute path.")
    return _path(uri, uri)


def join(folder_uri: str, *parts: str) -> str:
    """The location of ``parts`` below a folder. Raises InvalidLocation when they would lead out of it."""
    parse(folder_uri)
    pieces = [folder_uri.rstrip("/")]
    for part in parts:
        if not part or part.startswith("/") or "\0" in part:
            raise InvalidLocation(f"'{part}' is no name below '{folder_uri}'.")
        _check(part, f"{folder_uri} … {part}")
        pieces.append(quote(part, errors="surrogateescape") if folder_uri.startswith("file://") else part)
    return "/".join(pieces)


def name(uri: str) -> str:
    """The last part of a location: the object's name."""
    location = parse(uri)
    return location.key.rstrip("/").rpartition("/")[2] if isinstance(location, S3Location) else location.name


def _path(path: str, uri: str) -> Path:
    if not path.startswith("/") or "\0" in path:
        raise InvalidLocation(f"'{uri}' is no absolute path.")
    _check(path, uri)
    return Path(path)


def _check(path: str, uri: str) -> None:
    if any(part in (".", "..") for part in path.split("/")):
        raise InvalidLocation(f"'{uri}' contains '.' or '..'. A name must not lead out of its folder.")
