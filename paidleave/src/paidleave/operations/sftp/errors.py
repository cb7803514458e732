"""The errors of SFTP.

::

    SftpFailed            the job ends with exit code 1 and this message
    RequestRejected       the server reported a failure of one request
      FileMissing
      AccessDenied
      EndOfFile
      NotSupported
    ProtocolViolated      the server does not speak SFTP as specified
"""

from __future__ import annotations

from nightferry import JobFailed

_TEXT_LIMIT = 200  # characters of a server's text
_TEXTS = {
    0: "success",
    4: "failure",
    5: "bad message",
    6: "no connection",
    7: "connection lost",
    9: "invalid handle",
    11: "the file already exists",
    13: "no medium",
    14: "no space left",
    15: "the quota is exceeded",
    17: "the file is locked",
    24: "the name is a folder",
}


class SftpFailed(JobFailed):
    """An SFTP server could not be reached or identified, rejected a request, or does not have the file."""


class ProtocolViolated(Exception):
    """The server does not speak SFTP as specified."""


class RequestRejected(Exception):
    """The server reported a failure of a request: its text, and the code (draft-ietf-secsh-filexfer-13, 9.1)."""

    def __init__(self, code: int, text: str) -> None:
        shown = "".join(character if character.isprintable() else " " for character in text).strip(" .")
        super().__init__(shown[:_TEXT_LIMIT] or _TEXTS.get(code, f"status {code}"))


class EndOfFile(RequestRejected):
    """No more data or entries follow."""


class FileMissing(RequestRejected):
    """The file or folder does not exist."""


class AccessDenied(RequestRejected):
    """The user has no permission for the request."""


class NotSupported(RequestRejected):
    """The server does not support the request."""


_KINDS = {1: EndOfFile, 2: FileMissing, 3: AccessDenied, 8: NotSupported, 10: FileMissing, 12: AccessDenied}


def make_rejection(code: int, text: str) -> RequestRejected:
    """Return the error of a status code."""
    return _KINDS.get(code, RequestRejected)(code, text)
