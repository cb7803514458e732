"""Decrypt OpenPGP messages as streams, with the system's gpg.

::

    source ──thread──► gpg --decrypt ──thread──► queue ──► read()
                            └─► status file ──► checked at the end for success and integrity

The keyring is temporary: a private directory that is removed with its agent after use. Keys and passphrases are passed
to gpg through pipes, never as arguments. The standard error of gpg is discarded because it names the owners of keys;
only the status lines and the exit code are read.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from nightferry import get_logger
from paidleave.dor.encryption.failure_cause import Cause, DecryptionFailed, find_cause, is_signed, read_status_lines
from paidleave.dor.encryption.keyring import Keyring, keyring
from paidleave.dor.encryption.openpgp import Framing
from paidleave.dor.encryption.processes import CHUNK_BYTES, Worker, require_pipe
from paidleave.file_limits import ByteSource

log = get_logger(__name__)

_MAX_QUEUED_CHUNKS = 16  # gpg decrypts this many chunks ahead of the reader.
# A message of 500 bytes can contain 200,000 packets, with which gpg is busy for minutes. It writes a line about each.
_MAX_STATUS_BYTES = 131_072
_STATUS_CHECK_SECONDS = 1


class Plaintext:
    """The plain text of a message during its decryption.

    **The text is not verified until :meth:`read` returns empty bytes.** At the end, it raises
    :class:`DecryptionFailed` unless gpg succeeded and verified the integrity of the whole message. The caller must be
    able to undo everything that it does with the text before that.
    """

    def __init__(
        self, keys: Keyring, source: ByteSource, passphrase: SecretStr | None, signers: Collection[str] = ()
    ) -> None:
        self._signers = signers
        self._status = keys.directory / "status"
        self._process = keys.start(["--status-file", str(self._status), "--decrypt"], passphrase)
        self._framing = Framing()
        self._chunks: queue.Queue[bytes] = queue.Queue(_MAX_QUEUED_CHUNKS)
        self._stopping = False
        self._ended = False
        self._verified = False
        self._has_too_many_packets = False
        self._chunk = b""
        self._position = 0  # in _chunk
        self._feeder = Worker(lambda: self._feed(source))
        self._pump = Worker(self._prefetch)

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most ``size`` (negative: all); fewer at a chunk border or the end.

        Raises:
            DecryptionFailed: At the end, if the message is incomplete or its integrity was not verified.
            BaseException: The error that reading ``source`` raised.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK_BYTES), b""))
        self._advance()
        if self._ended:
            self.finish()
        data = self._chunk[self._position : self._position + size]
        self._position += len(data)
        return data

    def finish(self) -> None:
        """Check that everything was read and verified; raise the errors of :meth:`read` otherwise."""
        self._advance()
        if not self._ended:
            raise DecryptionFailed(Cause.NOT_FULLY_READ)
        if self._verified:
            return
        code = self._process.wait()
        self._feeder.join()
        self._feeder.reraise()
        self._pump.reraise()
        status = read_status_lines(self._status)
        cause = find_cause(code, status, self._framing, self._signers)
        if cause is Cause.INTERRUPTED and self._has_too_many_packets:
            cause = Cause.TOO_MANY_PACKETS
        if cause:
            raise DecryptionFailed(cause)
        if is_signed(status) and not self._signers:
            log.info("the file is signed, but its signature was not checked; set GPG_SIGNER_KEY to check signatures")
        self._verified = True

    def stop(self) -> None:
        """Stop gpg and the threads immediately."""
        self._stopping = True
        self._process.kill()
        while self._pump.is_alive():
            with contextlib.suppress(queue.Empty):
                self._chunks.get(timeout=0.01)
        self._process.wait()
        # A blocked read of the source cannot be interrupted. The thread ends when the read returns or fails.
        self._feeder.join(timeout=1)

    def _advance(self) -> None:
        """Get the next chunk if the current one has been read."""
        if self._position == len(self._chunk) and not self._ended:
            self._chunk = self._get_chunk()
            self._position = 0
            self._ended = not self._chunk

    def _get_chunk(self) -> bytes:
        """Return the next chunk. Stop gpg if it writes more status lines than a message has."""
        while True:
            try:
                return self._chunks.get(timeout=_STATUS_CHECK_SECONDS)
            except queue.Empty:
                if self._status.exists() and self._status.stat().st_size > _MAX_STATUS_BYTES:
                    self._has_too_many_packets = True
                    self._process.kill()

    def _feed(self, source: ByteSource) -> None:
        stdin = require_pipe(self._process.stdin)
        with contextlib.suppress(BrokenPipeError), stdin:  # gpg may stop early. Its status lines give the cause.
            while not self._stopping and (data := source.read(CHUNK_BYTES)):
                self._framing.feed(data)
                stdin.write(data)

    def _prefetch(self) -> None:
        try:
            with require_pipe(self._process.stdout) as stdout:
                while data := stdout.read(CHUNK_BYTES):
                    self._chunks.put(data)
        finally:
            self._chunks.put(b"")


@contextmanager
def decrypt(
    source: ByteSource, key: SecretStr, passphrase: SecretStr | None = None, signer_keys: str = ""
) -> Iterator[Plaintext]:
    """Decrypt the message in ``source`` with the armored private ``key``; yield the plain text as a stream.

    With ``signer_keys``, armored public keys, the message must have a good signature of one of them. The end of the
    block stops gpg.

    Raises:
        DecryptionFailed: The block ended without an error, but not everything was read and verified.
        GpgMissing: gpg is not installed.
        BaseException: The error that reading ``source`` raised.
    """
    with keyring() as keys:
        if not keys.import_private_key(key):
            raise DecryptionFailed(Cause.KEY_UNREADABLE)
        signers = keys.import_public_keys(signer_keys) if signer_keys else ()
        if signer_keys and not signers:
            raise DecryptionFailed(Cause.SIGNER_KEY_UNREADABLE)
        plain = Plaintext(keys, source, passphrase, signers)
        try:
            yield plain
            plain.finish()
        finally:
            plain.stop()
