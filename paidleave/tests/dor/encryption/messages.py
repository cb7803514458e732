"""OpenPGP messages that gpg does not make: a builder of packets, independent of the code under test.

Sources: RFC 4880, sections 5.1 (session key) and 5.13 (protected data); for AEAD draft-ietf-openpgp-rfc4880bis-10,
section 5.16, which GnuPG 2.3 and later write.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESOCB3

AES256 = 9


def gpg(home: Path, *arguments: str, data: bytes = b"") -> bytes:
    home.mkdir(mode=0o700, exist_ok=True)
    command = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--quiet"]
    options = ["--pinentry-mode", "loopback", "--passphrase", ""]
    done = subprocess.run([*command, *options, *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def stop_agent(home: Path) -> None:
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)


@dataclass(frozen=True)
class Recipient:
    """The RSA key that encrypts session keys."""

    key_id: str
    modulus: int
    exponent: int


def read_recipient(home: Path, name: str) -> Recipient:
    lines = [
        line.split(":")
        for line in gpg(home, "--with-colons", "--with-key-data", "--list-keys", name).decode().splitlines()
    ]
    start = next(number for number, fields in enumerate(lines) if fields[0] == "sub")
    modulus, exponent = (int(fields[3], 16) for fields in lines[start:] if fields[0] == "pkd")
    return Recipient(lines[start][4], modulus, exponent)


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4) + body


def literal(text: bytes) -> bytes:
    return packet(11, b"b\0" + bytes(4) + text)


def session_key_packet(recipient: Recipient, key: bytes, cipher: int = AES256, version: int = 3) -> bytes:
    secret = bytes([cipher]) + key + (sum(key) % 65536).to_bytes(2)
    size = (recipient.modulus.bit_length() + 7) // 8
    padding = bytes(byte % 255 + 1 for byte in os.urandom(size - len(secret) - 3))
    encoded = int.from_bytes(b"\0\2" + padding + b"\0" + secret)
    number = pow(encoded, recipient.exponent, recipient.modulus)
    integer = number.bit_length().to_bytes(2) + number.to_bytes((number.bit_length() + 7) // 8)
    return packet(1, bytes([version]) + bytes.fromhex(recipient.key_id) + b"\1" + integer)


def build_message(recipient: Recipient, inner: bytes, *, cipher: int = AES256, version: int = 1) -> bytes:
    """Encrypt the packets ``inner`` with integrity protection (MDC)."""
    key, prefix = os.urandom(32), os.urandom(16)
    plain = prefix + prefix[-2:] + inner + b"\xd3\x14"
    plain += hashlib.sha1(plain).digest()
    encryptor = Cipher(algorithms.AES256(key), CFB(bytes(16))).encryptor()
    data = encryptor.update(plain) + encryptor.finalize()
    return session_key_packet(recipient, key, cipher) + packet(18, bytes([version]) + data)


def build_unprotected_message(recipient: Recipient, inner: bytes) -> bytes:
    """Encrypt the packets ``inner`` without integrity protection (section 5.7), as programs before 2001 do."""
    key, prefix = os.urandom(32), os.urandom(16)
    first = Cipher(algorithms.AES256(key), CFB(bytes(16))).encryptor().update(prefix + prefix[-2:])
    rest = Cipher(algorithms.AES256(key), CFB(first[2:])).encryptor().update(inner)
    return session_key_packet(recipient, key) + packet(9, first + rest)


def build_aead_message(recipient: Recipient, inner: bytes) -> bytes:
    """Encrypt the packets ``inner`` with OCB, as gpg 2.3 and later do for keys that allow it."""
    key, nonce = os.urandom(32), os.urandom(15)
    header = bytes([0xD4, 1, AES256, 2, 16])  # chunks of 4 MiB
    cipher = AESOCB3(key)

    def seal(index: int, text: bytes, more: bytes = b"") -> bytes:
        number = index.to_bytes(8)
        iv = nonce[:7] + bytes(a ^ b for a, b in zip(nonce[7:], number, strict=True))
        return cipher.encrypt(iv, text, header + number + more)

    data = seal(0, inner) + seal(1, b"", len(inner).to_bytes(8))
    return session_key_packet(recipient, key) + packet(20, header[1:] + nonce + data)
