"""Warnings about the key that decrypts DOR's files: it has expired, was revoked, or expires soon.

Such a key still decrypts. But DOR's program encrypts no file for it, so that files stop arriving.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from nightferry import get_logger
from paidleave.dor import encryption
from paidleave.dor.settings import Decryption

log = get_logger(__name__)

WARNING_DAYS = 60
"""Days before the expiry of the key from which each run warns. DOR needs time to change the key."""

_FIX = (
    "The key decrypts, but DOR cannot encrypt files with it after that. Extend it or generate another one, give DOR "
    "the public key, and store the private key in GPG_DECRYPTION_KEY."
)


def check_own_key(decryption: Decryption) -> dict[str, Any]:
    """Log a warning if the key cannot be used much longer; return its state for the report of each file.

    The check ``decryption-key-expiry`` of ``paidleave-check`` reads the report, so that it does not need the key.
    """
    try:
        validity = encryption.read_validity(decryption.key)
    except (encryption.DecryptionFailed, encryption.GpgMissing):
        return {}  # The import of a file fails with the cause.
    now = datetime.now(UTC)
    if validity.is_revoked:
        log.warning("GPG_DECRYPTION_KEY was revoked. %s", _FIX)
    elif validity.end is not None and validity.ends_within(timedelta(days=WARNING_DAYS), now):
        verb = "expires" if validity.end > now else "expired"
        log.warning("GPG_DECRYPTION_KEY %s on %s. %s", verb, f"{validity.end:%Y-%m-%d}", _FIX)
    return {
        "decryption_key_expires": validity.end.isoformat() if validity.end else None,
        "decryption_key_is_revoked": validity.is_revoked,
    }
