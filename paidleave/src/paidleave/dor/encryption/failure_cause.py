"""Causes of failed decryptions, found from the status lines of gpg and the packets of the message.

The exit code of gpg is not 0 if a message was decrypted and its integrity verified, but its signer is unknown. The
status lines therefore decide, and the exit code only where they are incomplete. Source: doc/DETAILS in the source code
of GnuPG, and the lines that GnuPG 2.2.40 and 2.4.7 write.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from enum import Enum
from pathlib import Path

from nightferry import NightferryError
from paidleave.dor.encryption.openpgp import Content, Framing

# Error codes of libgpg-error: the lower 16 bits of the number in a status line.
_BAD_PASSPHRASE = 11
_NO_PASSPHRASE = 177
_UNSUPPORTED = {4, 12, 84}  # public key algorithm, cipher algorithm, algorithm
_NO_PUBLIC_KEY = "9"  # the last reason of ERRSIG: the key that checks the signature is missing


class Cause(Enum):
    """The cause of a failed decryption."""

    EMPTY = "the file is empty. Wait for its upload to finish, or request it again."
    TRUNCATED = "the file is truncated: its upload is incomplete. Wait for the upload to finish, or request it again."
    CORRUPTED = "the file is corrupted: it fails the integrity check. Request it again."
    TRAILING_DATA = "the file contains data after the encrypted message. Request a file with one message only."
    SEVERAL_MESSAGES = "the file contains several messages. Request one message per file."
    NOT_ENCRYPTED = "the file is not an encrypted OpenPGP message. Request an encrypted file, or disable decryption."
    SIGNED_ONLY = "the file is signed, but not encrypted. Request an encrypted file."
    CLEAR_SIGNED = "the file is a clear-signed text, which is not encrypted. Request an encrypted file."
    KEY = "the file contains an OpenPGP key instead of a message. Request an encrypted file."
    PASSPHRASE_MESSAGE = "the file is encrypted with a passphrase instead of a key. Request a file for our public key."  # noqa: S105 — not a password
    UNSUPPORTED = "the file uses an algorithm or format that gpg does not support. Request a file encrypted with AES."
    NO_INTEGRITY = (
        "the file has no integrity protection, so that changes cannot be detected. Request it with protection."
    )
    OTHER_KEY = "the file is encrypted with another key. Check that GPG_DECRYPTION_KEY matches the key that DOR uses."
    WRONG_PASSPHRASE = "wrong passphrase for the key. Check GPG_DECRYPTION_KEY_PASSPHRASE."  # noqa: S105 — not a password
    NO_PASSPHRASE = "the key requires a passphrase. Set GPG_DECRYPTION_KEY_PASSPHRASE."  # noqa: S105 — not a password
    KEY_UNREADABLE = "GPG_DECRYPTION_KEY is not an armored private key. Export it with gpg --export-secret-keys -a."
    BAD_SIGNATURE = (
        "the signature does not match the content: the file was changed after it was signed. Request it again."
    )
    SIGNED_AEAD = (
        "gpg 2.2 cannot verify the integrity of such a file while its signer is unknown. Set GPG_SIGNER_KEY to the "
        "public key of the signer, or install gpg 2.4."
    )
    NOT_SIGNED = "the file is not signed, but GPG_SIGNER_KEY requires a signature. Request a signed file."
    OTHER_SIGNER = "the file is not signed with the key GPG_SIGNER_KEY. Check with DOR which key it signs with."
    SIGNER_KEY_EXPIRED = "the key that signed the file has expired. Store the renewed public key in GPG_SIGNER_KEY."
    SIGNER_KEY_REVOKED = "the key that signed the file was revoked. Store the new public key in GPG_SIGNER_KEY."
    SIGNATURE_EXPIRED = "the signature of the file has expired. Request the file again."
    SIGNATURE_UNSUPPORTED = "the signature of the file uses an algorithm that gpg does not support. Request it again."
    SIGNER_KEY_UNREADABLE = "GPG_SIGNER_KEY is not an armored public key. Export DOR's key with gpg --export -a."
    TOO_MANY_PACKETS = "the file contains too many OpenPGP packets. Request a file with one message only."
    INTERRUPTED = "gpg was stopped before the end of the file. Start the import again."
    NOT_FULLY_READ = "the file was not read to its end, so that its content is not verified."


class DecryptionFailed(NightferryError):
    """A message could not be decrypted and verified. Discard all data that was read from it.

    The text of ``cause`` includes the fix.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"Decryption failed: {cause.value}")
        self.cause = cause


Status = list[list[str]]
"""The words of each status line."""


def read_status_lines(file: Path) -> Status:
    """Return the words of each status line, without the prefix ``[GNUPG:]``."""
    text = file.read_text(errors="replace") if file.exists() else ""
    return [words[1:] for words in map(str.split, text.splitlines()) if len(words) > 1]


def find_cause(code: int, status: Status, framing: Framing, signers: Collection[str] = ()) -> Cause | None:
    """Return the cause of the failure, or None if gpg decrypted exactly one message and verified its integrity.

    ``code`` is the exit code of gpg. ``signers`` are the fingerprints of the keys, of which one must have signed the
    message. If it is empty, signatures are not required and not checked.
    """
    if framing.size == 0:
        return Cause.EMPTY
    seen = {words[0] for words in status}
    if "BADSIG" in seen:  # gpg stops there
        return Cause.BAD_SIGNATURE
    if "EXPSIG" in seen and "END_DECRYPTION" not in seen:  # likewise
        return Cause.SIGNATURE_EXPIRED
    if not _is_decrypted(status):
        return (
            _find_cause_in_content(framing.content, status)
            or _find_cause_in_errors(status, framing)
            or (Cause.INTERRUPTED if code < 0 else None)
            or _find_cause_at_end(framing)
        )
    if framing.has_trailing_data:  # after armor, where gpg ignores it
        return Cause.SEVERAL_MESSAGES if framing.has_second_message else Cause.TRAILING_DATA
    if code != 0 and (cause := _find_cause_of_exit_code(code, status, framing)):
        return cause
    return _check_signatures(status, signers) if signers else None


def is_signed(status: Status) -> bool:
    """Return True if the message has a signature, of any key."""
    return any(words[0] == "NEWSIG" for words in status)


def _is_decrypted(status: Status) -> bool:
    # gpg 2.3 and later summarize the exit code as FAILURE gpg-exit, also for an unknown signer.
    seen = Counter(words[0] for words in status if words[:2] != ["FAILURE", "gpg-exit"])
    once = ("BEGIN_DECRYPTION", "PLAINTEXT", "DECRYPTION_OKAY", "GOODMDC", "END_DECRYPTION")
    never = ("BADMDC", "DECRYPTION_FAILED", "FAILURE", "NODATA", "UNEXPECTED")
    return all(seen[word] == 1 for word in once) and not any(seen[word] for word in never)


def _find_cause_of_exit_code(code: int, status: Status, framing: Framing) -> Cause | None:
    """Return None if only a signature or a passphrase, which are not needed, can have caused the exit code."""
    if code < 0:
        return Cause.INTERRUPTED
    errors = {words[1] for words in status if words[0] == "ERROR" and len(words) > 1}
    if "proc_pkt.plaintext" in errors:
        return Cause.SEVERAL_MESSAGES
    if errors - {"pkdecrypt_failed"}:  # a message for several keys has this error for each key that fails
        return Cause.CORRUPTED
    # For AEAD, GnuPG 2.2 reports DECRYPTION_OKAY even if the integrity check failed: only the exit code shows it. Later
    # versions report the failure, and the algorithm as third value of DECRYPTION_INFO, where 2.2 reports 0.
    algorithm = next((words[3:4] for words in status if words[0] == "DECRYPTION_INFO"), [])
    if not framing.is_aead or algorithm not in ([], ["0"]):
        return None
    unaccepted = {"ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"} & {words[0] for words in status}
    return Cause.SIGNED_AEAD if unaccepted else Cause.CORRUPTED


def _check_signatures(status: Status, signers: Collection[str]) -> Cause | None:
    causes = [_check_signature(lines, signers) for lines in _split_signatures(status)]
    if None in causes:
        return None
    return causes[0] if causes else Cause.NOT_SIGNED


def _split_signatures(status: Status) -> list[dict[str, list[str]]]:
    """Return the status lines of each signature by their first word."""
    signatures: list[dict[str, list[str]]] = []
    for words in status:
        if words[0] == "NEWSIG":
            signatures.append({})
        elif signatures:
            signatures[-1][words[0]] = words[1:]
    return signatures


def _check_signature(lines: dict[str, list[str]], signers: Collection[str]) -> Cause | None:
    if "ERRSIG" in lines:
        missing = "NO_PUBKEY" in lines or _NO_PUBLIC_KEY in lines["ERRSIG"][5:6]
        return Cause.OTHER_SIGNER if missing else Cause.SIGNATURE_UNSUPPORTED
    valid = lines.get("VALIDSIG", [])  # begins with the fingerprint of the key, ends with that of its primary key
    if not {*valid[:1], *valid[-1:]} & set(signers):
        return Cause.OTHER_SIGNER
    if "GOODSIG" in lines:
        return None
    if "EXPKEYSIG" in lines:
        return Cause.SIGNER_KEY_EXPIRED
    return Cause.SIGNATURE_EXPIRED if "EXPSIG" in lines else Cause.SIGNER_KEY_REVOKED


def _find_cause_in_content(content: Content, status: Status) -> Cause | None:
    match content:
        case Content.ENCRYPTED:
            return None
        case Content.PASSPHRASE:
            return Cause.PASSPHRASE_MESSAGE
        case Content.SIGNED:
            return Cause.SIGNED_ONLY
        case Content.CLEAR_SIGNED:
            return Cause.CLEAR_SIGNED
        case Content.KEY:
            return Cause.KEY
        case Content.OTHER:  # A signed message may be compressed.
            return Cause.SIGNED_ONLY if is_signed(status) else Cause.NOT_ENCRYPTED


def _find_cause_in_errors(status: Status, framing: Framing) -> Cause | None:
    seen = {words[0] for words in status}
    codes = (words[2:3] for words in status if words[:2] == ["ERROR", "pkdecrypt_failed"])
    errors = {int(code) & 0xFFFF for words in codes for code in words if re.fullmatch("[0-9]{1,10}", code)}
    if _BAD_PASSPHRASE in errors:
        return Cause.WRONG_PASSPHRASE
    if _NO_PASSPHRASE in errors:
        return Cause.NO_PASSPHRASE
    if framing.is_unsupported or errors & _UNSUPPORTED:
        return Cause.UNSUPPORTED
    if ["ERROR", "proc_pkt.plaintext"] in [words[:2] for words in status]:
        # gpg may also report a second message for text after the message, depending on how it was read.
        return _find_cause_at_end(framing) if framing.has_trailing_data else Cause.SEVERAL_MESSAGES
    if "GOODMDC" in seen and "PLAINTEXT" not in seen:
        return Cause.UNSUPPORTED
    if "NO_SECKEY" in seen and "DECRYPTION_KEY" not in seen:
        return Cause.OTHER_KEY
    return Cause.NO_INTEGRITY if framing.is_unprotected else None


def _find_cause_at_end(framing: Framing) -> Cause:
    if framing.has_second_message:
        return Cause.SEVERAL_MESSAGES
    if framing.has_trailing_data:
        return Cause.TRAILING_DATA
    return Cause.TRUNCATED if framing.is_truncated else Cause.CORRUPTED
