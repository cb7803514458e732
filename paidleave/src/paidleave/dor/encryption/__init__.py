"""OpenPGP: streaming decryption and encryption with the system's gpg, and key pairs.

::

    keyring, openpgp ── failure_cause ─┬─ decrypting
                                       ├─ keys
                            processes ─┴─ encrypting
"""

from paidleave.dor.encryption.decrypting import Plaintext, decrypt
from paidleave.dor.encryption.encrypting import EncryptionFailed, encrypt
from paidleave.dor.encryption.failure_cause import Cause, DecryptionFailed
from paidleave.dor.encryption.keyring import GpgMissing
from paidleave.dor.encryption.keys import KeyPair, export_public_key, generate_key

__all__ = [
    "Cause",
    "DecryptionFailed",
    "EncryptionFailed",
    "GpgMissing",
    "KeyPair",
    "Plaintext",
    "decrypt",
    "encrypt",
    "export_public_key",
    "generate_key",
]
