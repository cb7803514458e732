"""Why a message could not be decrypted: the verdict on what gpg reported and on how far the message goes.

Source of the status lines: doc/DETAILS in GnuPG's source.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from pathlib import Path

from nightferry.errors import NightferryError
from paidleave.dor.encryption.openpgp import Framing

# Numbers of libgpg-error, the lower 16 bits of what a status line gives.
_BAD_PASSPHRASE = 11
_NO_PASSPHRASE = 177


class Cause(Enum):
    """Why a message could not be decrypted."""

    EMPTY = "the file is empty. Ask for it to be sent again, or wait until its upload is complete."
    TRUNCATED = "the file is cut off: its upload was not complete. Wait for the upload to end, or send it again."
    CORRUPTED = "the file is damaged: it fails the integrity check. Have it sent again."
    TRAILING_DATA = "something follows the encrypted message in the file. Send one message per file."
    NOT_ENCRYPTED = "the file is not an encrypted OpenPGP message. Have it encrypted, or turn decryption off."
    OTHER_KEY = "the file is encrypted for another key. Check that GPG_DECRYPTION_KEY belongs to the key DOR uses."
    WRONG_PASSPHRASE = "the passphrase of the key is wrong. Check GPG_DECRYPTION_KEY_PASSPHRASE."  # noqa: S105 — not one
    NO_PASSPHRASE = "the key has a passphrase. Set GPG_DECRYPTION_KEY_PASSPHRASE."  # noqa: S105 — not one
    KEY_UNREADABLE = "GPG_DECRYPTION_KEY is not a private key in ASCII armor. Export it by gpg --export-secret-keys -a."
    NOT_FULLY_READ = "it was not read to its end, so that its content is not verified."


class DecryptionFailed(NightferryError):
    """A message could not be decrypted and verified, so nothing that was read of it may be kept.

    ``cause`` says why; its text says what to do.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"Decryption failed: {cause.value}")
        self.cause = cause


def read_status_lines(file: Path) -> list[list[str]]:
    """Return the words of each status line, without its prefix ``[GNUPG:]``."""
    text = file.read_text(errors="replace") if file.exists() else ""
    return [words[1:] for words in map(str.split, text.splitlines()) if len(words) > 1]


def find_cause(code: int, status: list[list[str]], framing: Framing) -> Cause | None:
    """Return why the decryption failed; None when it ended well and gpg verified the integrity of one whole message."""
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
