"""Decrypt OpenPGP messages as streams, with the system's gpg.

::

    source ──thread──► gpg --decrypt ──thread──► queue ──► read()
                            └─► status file ──► read at the end: did it end well, was the content verified?

Keys live in a keyring of their own, in a private directory that is removed with its agent when the work is done.
Keys and passphrases go to gpg through pipes, never through arguments. What gpg says on standard error is dropped,
because it names keys' owners; only its status lines are read.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from paidleave.dor.encryption.failure_cause import Cause, DecryptionFailed, find_cause, read_status_lines
from paidleave.dor.encryption.keyring import Keyring, keyring
from paidleave.dor.encryption.openpgp import Framing
from paidleave.dor.encryption.processes import CHUNK_BYTES, Worker, require_pipe
from paidleave.dor.files.streams import ByteSource

_CHUNKS_AHEAD = 16  # what gpg may decrypt while the reader works on something else


class Plaintext:
    """The plain text of a message while it is being decrypted.

    **It is not verified before :meth:`read` has returned the empty end**, which it does only after gpg ended well and
    verified the integrity of all that it gave; otherwise it raises :class:`DecryptionFailed` there. Whoever does
    something with the text before that must be able to undo it.
    """

    def __init__(self, keys: Keyring, source: ByteSource, passphrase: SecretStr | None) -> None:
        self._status = keys.directory / "status"
        self._process = keys.start(["--status-file", str(self._status), "--decrypt"], passphrase)
        self._framing = Framing()
        self._chunks: queue.Queue[bytes] = queue.Queue(_CHUNKS_AHEAD)
        self._stopping = False
        self._ended = False
        self._verified = False
        self._chunk = b""
        self._position = 0  # in the chunk
        self._feeder = Worker(lambda: self._feed(source))
        self._pump = Worker(self._prefetch)

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most ``size``, less only at a convenient place or the end; all when negative.

        Raises DecryptionFailed at the end if the message is not whole and genuine, and what ``source`` raised.
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
        """Make sure that everything was read and verified; raises as :meth:`read` does at the end."""
        self._advance()
        if not self._ended:
            raise DecryptionFailed(Cause.NOT_FULLY_READ)
        if self._verified:
            return
        code = self._process.wait()
        self._feeder.join()
        self._feeder.reraise()
        self._pump.reraise()
        if cause := find_cause(code, read_status_lines(self._status), self._framing):
            raise DecryptionFailed(cause)
        self._verified = True

    def stop(self) -> None:
        """End gpg and the threads, whatever they are doing."""
        self._stopping = True
        self._process.kill()
        while self._pump.is_alive():
            with contextlib.suppress(queue.Empty):
                self._chunks.get(timeout=0.01)
        self._process.wait()
        # A source that blocks cannot be interrupted; the thread ends when it gives something or fails.
        self._feeder.join(timeout=1)

    def _advance(self) -> None:
        """Go on to the next chunk when the present one is used up."""
        if self._position == len(self._chunk) and not self._ended:
            self._chunk = self._chunks.get()
            self._position = 0
            self._ended = not self._chunk

    def _feed(self, source: ByteSource) -> None:
        stdin = require_pipe(self._process.stdin)
        with contextlib.suppress(BrokenPipeError), stdin:  # gpg gave up on the message; it says why at the end
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
def decrypt(source: ByteSource, key: SecretStr, passphrase: SecretStr | None = None) -> Iterator[Plaintext]:
    """Decrypt the message in ``source`` with the armored private ``key``; the plain text is read as it comes.

    Leaving the block without an error raises :class:`DecryptionFailed` unless everything was read and verified, and
    leaving it in any way ends gpg. Also raises GpgMissing, and what ``source`` raises when it is read.
    """
    with keyring() as keys:
        if not keys.import_private_key(key):
            raise DecryptionFailed(Cause.KEY_UNREADABLE)
        plain = Plaintext(keys, source, passphrase)
        try:
            yield plain
            plain.finish()
        finally:
            plain.stop()
