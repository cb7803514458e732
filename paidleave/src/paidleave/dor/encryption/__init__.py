"""OpenPGP: streaming decryption and encryption with the system's gpg, and key pairs.

::

    keyring, armor ── openpgp ── failure_cause ─┬─ decrypting
                                                ├─ keys
                                                ├─ validity ─┐
                                     processes ─┴────────────┴─ encrypting
"""

from paidleave.dor.encryption.decrypting import Plaintext, decrypt
from paidleave.dor.encryption.encrypting import EncryptionFailed, encrypt, encrypt_to_own_key
from paidleave.dor.encryption.failure_cause import Cause, DecryptionFailed
from paidleave.dor.encryption.keyring import GpgMissing
from paidleave.dor.encryption.keys import KeyPair, export_public_key, generate_key
from paidleave.dor.encryption.validity import Validity, read_validity

__all__ = [
    "Cause",
    "DecryptionFailed",
    "EncryptionFailed",
    "GpgMissing",
    "KeyPair",
    "Plaintext",
    "Validity",
    "decrypt",
    "encrypt",
    "encrypt_to_own_key",
    "export_public_key",
    "generate_key",
    "read_validity",
]
