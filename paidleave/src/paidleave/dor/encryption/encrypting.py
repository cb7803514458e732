"""Encrypt OpenPGP messages as streams, with the system's gpg."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO

from pydantic import SecretStr

from nightferry import NightferryError
from paidleave.dor.encryption.failure_cause import Cause, DecryptionFailed
from paidleave.dor.encryption.keyring import Keyring, keyring
from paidleave.dor.encryption.openpgp import drop_revocations
from paidleave.dor.encryption.processes import CHUNK_BYTES, Worker, require_pipe
from paidleave.dor.encryption.validity import read_periods, select_period
from paidleave.dor.files.streams import ByteTarget


class EncryptionFailed(NightferryError):
    """A file could not be encrypted, usually because the public key is invalid. Discard the written data."""


@contextmanager
def encrypt(target: ByteTarget, public_key: str) -> Iterator[IO[bytes]]:
    """Yield a stream that encrypts its input with the armored ``public_key`` and writes it to ``target``.

    The message is complete when the block has ended without an error.

    Raises:
        EncryptionFailed: gpg failed, usually because the public key is invalid.
        GpgMissing: gpg is not installed.
        BaseException: The error that writing to ``target`` raised.
    """
    with keyring() as keys, _encrypt(keys, target, public_key.encode(), []) as stream:
        yield stream


@contextmanager
def encrypt_to_own_key(target: ByteTarget, private_key: SecretStr) -> Iterator[IO[bytes]]:
    """Like :func:`encrypt`, with the public key of the armored ``private_key``, even if it has expired or was revoked.

    The owner of the key is the reader, and the private key decrypts the message as long as it exists. gpg encrypts only
    to a valid key. It therefore receives the public key without revocations, and a time at which the key is valid.

    Raises:
        DecryptionFailed: ``private_key`` is not an armored private key.
        EncryptionFailed: gpg failed, usually because the key cannot encrypt.
        GpgMissing: gpg is not installed.
        BaseException: The error that writing to ``target`` raised.
    """
    with keyring() as keys:
        if not keys.import_private_key(private_key):
            raise DecryptionFailed(Cause.KEY_UNREADABLE)
        now = datetime.now(UTC)
        periods = read_periods(keys, keys.run(["--export"]))
        if not periods:
            raise DecryptionFailed(Cause.KEY_UNREADABLE)
        period, time = select_period(periods, now)
        public = keys.run(["--export", period.fingerprint])
        if period.is_revoked:
            public = drop_revocations(public)
        options = ["--faked-system-time", f"{time:%Y%m%dT%H%M%S}"] if time != now else []
        with _encrypt(keys, target, public, options) as stream:
            yield stream


@contextmanager
def _encrypt(keys: Keyring, target: ByteTarget, public_key: bytes, options: Sequence[str]) -> Iterator[IO[bytes]]:
    recipient = keys.directory / "recipient"
    recipient.write_bytes(public_key)
    process = keys.start(
        [
            *(*options, "--trust-model", "always", "--compress-level", "1"),
            *("--recipient-file", str(recipient), "--encrypt"),
        ]
    )
    pump = Worker(lambda: _copy(require_pipe(process.stdout), target))
    stdin = require_pipe(process.stdin)
    try:
        try:
            yield stdin
            stdin.close()
        except BrokenPipeError:
            process.kill()
            pump.join()
            pump.reraise()
            raise EncryptionFailed("gpg exited before the file was encrypted. Check the public key.") from None
        pump.join()
        pump.reraise()
        if process.wait() != 0:
            raise EncryptionFailed("gpg cannot encrypt. Check that the public key is valid and in ASCII armor.")
    finally:
        process.kill()
        process.wait()
        pump.join()
        with contextlib.suppress(BrokenPipeError):
            stdin.close()


def _copy(source: IO[bytes], target: ByteTarget) -> None:
    with source:
        while data := source.read(CHUNK_BYTES):
            target.write(data)
