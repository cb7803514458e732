"""Interface only, being implemented."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO

from pydantic import SecretStr


class DecryptionFailed(Exception):
    """The file could not be decrypted and verified; the message says why. Nothing that was read of it may be kept."""


def decrypt(source: BinaryIO, key: SecretStr, passphrase: SecretStr | None = None) -> AbstractContextManager[BinaryIO]:
    raise NotImplementedError
