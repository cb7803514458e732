"""Causes of failed decryptions, found from the status lines of gpg and the packets of the message.

Source of the status lines: doc/DETAILS in the source code of GnuPG.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from pathlib import Path

from nightferry.errors import NightferryError
from paidleave.dor.encryption.openpgp import Framing

# Error codes of libgpg-error: the lower 16 bits of the number in a status line.
_BAD_PASSPHRASE = 11
_NO_PASSPHRASE = 177


class Cause(Enum):
    """The cause of a failed decryption."""

    EMPTY = "the file is empty. Wait for its upload to finish, or request it again."
    TRUNCATED = "the file is truncated: its upload is incomplete. Wait for the upload to finish, or request it again."
    CORRUPTED = "the file is corrupted: it fails the integrity check. Request it again."
    TRAILING_DATA = "the file contains data after the encrypted message. Send one message per file."
    NOT_ENCRYPTED = "the file is not an encrypted OpenPGP message. Request an encrypted file, or disable decryption."
    OTHER_KEY = "the file is encrypted with another key. Check that GPG_DECRYPTION_KEY matches the key that DOR uses."
    WRONG_PASSPHRASE = "wrong passphrase for the key. Check GPG_DECRYPTION_KEY_PASSPHRASE."  # noqa: S105 — not a password
    NO_PASSPHRASE = "the key requires a passphrase. Set GPG_DECRYPTION_KEY_PASSPHRASE."  # noqa: S105 — not a password
    KEY_UNREADABLE = "GPG_DECRYPTION_KEY is not an armored private key. Export it with gpg --export-secret-keys -a."
    NOT_FULLY_READ = "the file was not read to its end, so that its content is not verified."


class DecryptionFailed(NightferryError):
    """A message could not be decrypted and verified. Discard all data that was read from it.

    The text of ``cause`` includes the fix.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"Decryption failed: {cause.value}")
        self.cause = cause


def read_status_lines(file: Path) -> list[list[str]]:
    """Return the words of each status line, without the prefix ``[GNUPG:]``."""
    text = file.read_text(errors="replace") if file.exists() else ""
    return [words[1:] for words in map(str.split, text.splitlines()) if len(words) > 1]


def find_cause(code: int, status: list[list[str]], framing: Framing) -> Cause | None:
    """Return the cause of the failure, or None if gpg succeeded and verified the integrity of exactly one message."""
    seen = Counter(words[0] for words in status)
    once = ("BEGIN_DECRYPTION", "PLAINTEXT", "DECRYPTION_OKAY", "GOODMDC", "END_DECRYPTION")
    never = ("BADMDC", "DECRYPTION_FAILED", "FAILURE", "NODATA", "UNEXPECTED")
    if code == 0 and all(seen[word] == 1 for word in once) and not any(seen[word] for word in never):
        return None
    errors = {int(words[2]) & 0xFFFF for words in status if words[:2] == ["ERROR", "pkdecrypt_failed"]}
    if framing.size == 0:
        return Cause.EMPTY
    if _BAD_PASSPHRASE in errors:
        return Cause.WRONG_PASSPHRASE
    if _NO_PASSPHRASE in errors:
        return Cause.NO_PASSPHRASE
    if not framing.is_encrypted:
        return Cause.NOT_ENCRYPTED
    if seen["NO_SECKEY"] and not seen["DECRYPTION_KEY"]:
        return Cause.OTHER_KEY
    if framing.is_truncated:
        return Cause.TRUNCATED
    return Cause.TRAILING_DATA if framing.has_trailing_data else Cause.CORRUPTED
