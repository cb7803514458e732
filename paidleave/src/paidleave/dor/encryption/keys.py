"""Key pairs in ASCII armor."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from paidleave.dor.encryption.failure_cause import Cause, DecryptionFailed
from paidleave.dor.encryption.keyring import keyring


@dataclass(frozen=True)
class KeyPair:
    """A private key and its public key, both in ASCII armor."""

    private: SecretStr
    public: str


def generate_key(name: str, passphrase: SecretStr | None = None) -> KeyPair:
    """Generate an RSA key of 2,048 bits, like DOR's, for tests and demonstrations; ``name`` is its owner."""
    parameters = (
        "Key-Type: RSA\nKey-Length: 2048\nKey-Usage: cert\n"
        "Subkey-Type: RSA\nSubkey-Length: 2048\nSubkey-Usage: encrypt\n"
        f"Name-Real: {name}\nExpire-Date: 0\n"
    )
    protection = "" if passphrase else "%no-protection\n"
    with keyring() as keys:
        keys.run(["--full-generate-key"], (protection + parameters).encode(), passphrase)
        private = keys.run(["--armor", "--export-secret-keys"], b"", passphrase)
        public = keys.run(["--armor", "--export"])
    return KeyPair(SecretStr(private.decode()), public.decode())


def export_public_key(private: SecretStr) -> str:
    """Return the armored public key of the armored ``private`` key.

    Raises:
        DecryptionFailed: ``private`` is not an armored private key.
    """
    with keyring() as keys:
        if not keys.import_private_key(private):
            raise DecryptionFailed(Cause.KEY_UNREADABLE)
        return keys.run(["--armor", "--export"]).decode()
