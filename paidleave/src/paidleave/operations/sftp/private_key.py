"""Our private key, in each format in which keys are handed out."""

from __future__ import annotations

import io
import re

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from paidleave.operations.sftp.errors import SftpFailed

Key = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

_BLOCK = re.compile(r"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_CURVES = {"secp256r1", "secp384r1", "secp521r1"}  # RFC 5656; servers support no others
_RSA_BITS = 1024  # OpenSSH rejects shorter keys
_SUPPORTED = "Supported are Ed25519, ECDSA (P-256, P-384, P-521) and RSA keys in OpenSSH, PEM or PKCS#8 format"
_NOT_PRIVATE = [
    (r"PuTTY-User-Key-File", "is in PuTTY's format. Export it as an OpenSSH key with PuTTYgen"),
    (r"BEGIN PGP ", "is a GPG key. Set it to the key of the SFTP user"),
    (r"PRIVATE KEY-----", "is incomplete: its last line is missing. Store the whole file"),
    (r"-cert-v01@openssh\.com |BEGIN CERTIFICATE", "is a certificate. Set it to the private key"),
    (r"\A(?:ssh|ecdsa|sk)-\S+ |BEGIN [A-Z0-9 ]*PUBLIC KEY", "is a public key. Set it to the private key"),
]


def load_private_key(text: str, passphrase: str | None) -> paramiko.PKey:
    """Return the key for a login. Raises SftpFailed, whose message never contains a part of the key."""
    text = text.lstrip("\ufeff \t\r\n").replace("\r\n", "\n")
    block = _BLOCK.search(text)
    if block is None:
        for pattern, problem in _NOT_PRIVATE:
            if re.search(pattern, text):
                raise SftpFailed(f"SFTP_PRIVATE_KEY {problem}.")
        raise SftpFailed(f"SFTP_PRIVATE_KEY is not a private key. {_SUPPORTED}.")
    # A file may have text around the key, such as the parameters of the curve or OpenSSL's attributes.
    lines = [line.strip() for line in block[0].splitlines()]
    if len(lines) < 3:
        raise SftpFailed("SFTP_PRIVATE_KEY has lost its line ends. Store the file as it is, with several lines.")
    key = _load("\n".join(lines).encode("utf-8", "surrogateescape"), block[1], passphrase)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    match key:
        case RSAPrivateKey():
            return paramiko.RSAKey.from_private_key(io.StringIO(text))
        case EllipticCurvePrivateKey():
            return paramiko.ECDSAKey.from_private_key(io.StringIO(text))
        case _:
            return paramiko.Ed25519Key.from_private_key(io.StringIO(text))


def _load(block: bytes, label: str, passphrase: str | None) -> Key:
    load = load_ssh_private_key if label.startswith("OPENSSH") else load_pem_private_key
    is_encrypted = False
    try:
        try:
            key = load(block, None)
        except TypeError:  # the key has a passphrase
            is_encrypted = True
            if passphrase is None:
                raise SftpFailed("SFTP_PRIVATE_KEY has a passphrase. Set SFTP_PRIVATE_KEY_PASSPHRASE.") from None
            key = load(block, passphrase.encode("utf-8", "surrogateescape"))
    except ValueError:
        if is_encrypted:
            raise SftpFailed(
                "SFTP_PRIVATE_KEY cannot be decrypted: SFTP_PRIVATE_KEY_PASSPHRASE is not its passphrase, or the key "
                "is damaged. Check it with ssh-keygen -y -f FILE."
            ) from None
        raise SftpFailed(
            "SFTP_PRIVATE_KEY is damaged. Store the whole file as it is, and check it with ssh-keygen -y -f FILE."
        ) from None
    except UnsupportedAlgorithm:
        raise SftpFailed(f"SFTP_PRIVATE_KEY has a type or an encryption that is not supported. {_SUPPORTED}.") from None
    match key:
        case RSAPrivateKey() if key.key_size < _RSA_BITS:
            raise SftpFailed(
                f"SFTP_PRIVATE_KEY is an RSA key of {key.key_size} bits, which servers reject. {_SUPPORTED}."
            )
        case RSAPrivateKey() | Ed25519PrivateKey():
            return key
        case EllipticCurvePrivateKey() if key.curve.name in _CURVES:
            return key
    raise SftpFailed(f"SFTP_PRIVATE_KEY has a type that is not supported. {_SUPPORTED}.")
