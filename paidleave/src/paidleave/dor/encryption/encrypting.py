"""Encrypt OpenPGP messages as streams, with the system's gpg."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from nightferry.errors import NightferryError
from paidleave.dor.encryption.keyring import keyring
from paidleave.dor.encryption.processes import CHUNK_BYTES, Worker, require_pipe
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
    with keyring() as keys:
        recipient = keys.directory / "recipient.asc"
        recipient.write_text(public_key)
        process = keys.start(
            ["--trust-model", "always", "--compress-level", "1", "--recipient-file", str(recipient), "--encrypt"]
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
