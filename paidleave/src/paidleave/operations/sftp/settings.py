"""Settings of ``sftp-tool``. This module imports no job."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from paidleave.job_settings import PaidLeaveSettings

_ASCII = bytes(range(128)).decode("ascii")
_NOT_A_URI = (
    "set it to sftp://USER@HOST or sftp://USER@HOST:PORT, without anything after it. Put an IPv6 address into "
    "brackets, and percent-encode special characters of the user's name, such as %40 for @"
)


class SftpToolSettings(PaidLeaveSettings):
    """Settings of ``sftp-tool``."""

    sftp_uri: str = Field(
        description="URI of the server: sftp://USER@HOST or sftp://USER@HOST:PORT (default port: 22). An IPv6 address "
        "stands in brackets",
    )
    sftp_host_key: str = Field(
        min_length=1,
        description="The server's public host keys, one per line, such as 'ssh-ed25519 AAAA…' or lines of known_hosts",
    )
    sftp_private_key: SecretStr = Field(description="Our private key in OpenSSH, PEM or PKCS#8 format")
    sftp_private_key_passphrase: SecretStr | None = Field(
        default=None, description="Passphrase of the private key, if it has one"
    )
    sftp_timeout: int = Field(default=30, ge=1, le=600, description="Time limit of a response in seconds")
    sftp_name_encoding: str = Field(
        default="utf-8", description="Encoding of file names on the server, such as latin-1"
    )
    action: Literal["list", "get", "put", "rename"] = Field(default="list", description="Action")
    remote_path: str = Field(
        default="",
        description="Path on the server: folder to list, file to get or rename, or target to put (a folder ends in /)",
    )
    storage_path: str = Field(
        default="",
        description="Object to put, or target to get to (a folder ends in /): s3://BUCKET/…",
    )
    new_path: str = Field(default="", description="For rename: the new path of the file")
    replace: bool = Field(default=False, description="Replace an existing target")
    temporary_file: bool = Field(
        default=True,
        description="For put: write to a temporary file, and rename it at the end. Set it to false if the server "
        "permits no renaming, or takes each file as soon as it is closed",
    )
    read_back: bool = Field(
        default=True,
        description="For put: read the file back and compare it. Set it to false if the server permits no reading, or "
        "takes each file as soon as it is closed",
    )

    @field_validator("sftp_uri")
    @classmethod
    def _check_uri(cls, uri: str) -> str:
        split_uri(uri)
        return uri

    @field_validator("sftp_name_encoding")
    @classmethod
    def _check_encoding(cls, encoding: str) -> str:
        try:
            extends_ascii = _ASCII.encode(encoding) == _ASCII.encode("ascii")
        except (LookupError, ValueError):
            extends_ascii = False
        if not extends_ascii:
            raise ValueError("set it to an encoding that extends ASCII, such as utf-8, latin-1 or cp1252")
        return encoding

    @field_validator("remote_path", "new_path")
    @classmethod
    def _check_remote_path(cls, path: str) -> str:
        if ".." in path.split("/") or not path.isprintable():
            raise ValueError("a path on the server must not contain '..' or characters that cannot be printed")
        return path

    @model_validator(mode="after")
    def _check_action_paths(self) -> Self:
        needed = {
            "list": (),
            "get": ("remote_path", "storage_path"),
            "put": ("storage_path", "remote_path"),
            "rename": ("remote_path", "new_path"),
        }[self.action]
        if missing := [name.upper() for name in needed if not getattr(self, name)]:
            raise ValueError(f"{' and '.join(missing)} must be set to {self.action} a file")
        if self.action in ("get", "rename") and self.remote_path.endswith("/"):
            raise ValueError(f"REMOTE_PATH is a folder; {self.action} requires a file")
        return self


def split_uri(uri: str) -> tuple[str, str, int]:
    """Return user, host and port of ``sftp://USER@HOST:PORT``. Raises ValueError, whose message is without the URI."""
    try:
        parts = urlsplit(uri)
        user, host, port = parts.username, parts.hostname, parts.port
    except ValueError:  # such as a bracket that is not closed, or a port that is not a number
        raise ValueError(_NOT_A_URI) from None
    if parts.password is not None:
        raise ValueError("it contains a password, but only keys are supported. Remove the password")
    is_complete = parts.scheme == "sftp" and user and host and port != 0 and "@" not in user
    has_more = parts.path.strip("/") or parts.query or parts.fragment
    if not is_complete or has_more or not uri.isprintable() or " " in uri:
        raise ValueError(_NOT_A_URI)
    return unquote(user or ""), host or "", port or 22
