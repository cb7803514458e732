"""Locations of objects: ``s3://bucket/key``, ``file:///absolute/path`` (percent-encoded) or a plain absolute path.

A location must not contain ``.`` or ``..``, so that untrusted names cannot lead out of their folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from nightferry.storage.errors import InvalidLocation


@dataclass(frozen=True)
class S3Location:
    """The location of an object, or a prefix, in a bucket."""

    bucket: str
    key: str


Location = S3Location | Path

# Not a byte of a file's name that is not UTF-8, which Python represents by U+DC80 to U+DCFF.
_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def parse(uri: str) -> Location:
    """Parse a location. Raises InvalidLocation."""
    if uri.startswith("s3://"):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not bucket:
            raise InvalidLocation(f"Location '{uri}' has no bucket. Write s3://bucket/key.")
        _check(key, uri)
        return S3Location(bucket, key)
    if uri.startswith("file://"):
        try:
            parts = urlsplit(uri)
        except ValueError:  # an incomplete IPv6 address
            parts = SplitResult("file", "?", "", "", "")
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise InvalidLocation(
                f"'{uri}' is not a file on this machine. Write file:///absolute/path, percent-encoded."
            )
        return _parse_path(unquote(parts.path, errors="surrogateescape"), uri)
    if "://" in uri.partition("/")[0] + "/" or not uri.startswith("/"):
        raise InvalidLocation(f"'{uri}' is not a location. Write s3://bucket/key, file:///path or an absolute path.")
    return _parse_path(uri, uri)


def join(folder_uri: str, *parts: str) -> str:
    """Return the location of ``parts`` below a folder. Raises InvalidLocation if they lead out of the folder."""
    parse(folder_uri)
    pieces = [folder_uri.rstrip("/")]
    for part in parts:
        _check_part(part, folder_uri)
        pieces.append(quote(part, errors="surrogateescape") if folder_uri.startswith("file://") else part)
    return "/".join(pieces)


def check_name(name: str, folder_uri: str) -> None:
    """Raise InvalidLocation unless ``name`` is valid for an object directly in a folder."""
    if "/" in name:
        raise InvalidLocation(f"{name!r} is not a valid name directly in '{folder_uri}'.")
    _check_part(name, folder_uri)


def name(uri: str) -> str:
    """Return the last part of a location, which is the object's name."""
    location = parse(uri)
    return location.key.rstrip("/").rpartition("/")[2] if isinstance(location, S3Location) else location.name


def _parse_path(path: str, uri: str) -> Path:
    if not path.startswith("/") or "\0" in path:
        raise InvalidLocation(f"'{uri}' is not an absolute path. Write /path, file:///path or s3://bucket/key.")
    _check(path, uri)
    return Path(path)


def _check_part(part: str, folder_uri: str) -> None:
    if not part or part.startswith("/") or "\0" in part or _LONE_SURROGATE.search(part):
        raise InvalidLocation(f"{part!r} is not a valid name below '{folder_uri}'.")
    _check(part, f"{folder_uri} … {part}")


def _check(path: str, uri: str) -> None:
    if any(part in (".", "..") for part in path.split("/")):
        raise InvalidLocation(
            f"Location '{uri}' contains '.' or '..'. Remove them, so that the location stays in its folder."
        )
