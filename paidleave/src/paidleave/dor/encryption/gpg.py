"""Decrypt and encrypt OpenPGP messages as streams, with the system's gpg.

::

    source ──thread──► gpg --decrypt ──thread──► queue ──► read()
                            └─► status file ──► read at the end: did it end well, was the content verified?

Keys live in a keyring of their own, in a private directory that is removed with its agent when the work is done.
Keys and passphrases go to gpg through pipes, never through arguments. What gpg says on standard error is dropped,
because it names keys' owners; only its status lines are read.
Source of the status lines: doc/DETAILS in GnuPG's source.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Protocol

from pydantic import SecretStr

from nightferry.errors import NightferryError
from paidleave.dor.encryption.keyring import GpgMissing, Keyring, keyring
from paidleave.dor.encryption.openpgp import Framing

__all__ = [
    "Cause",
    "DecryptionFailed",
    "EncryptionFailed",
    "GpgMissing",
    "KeyPair",
    "Plaintext",
    "decrypt",
    "encrypt",
    "generate_key",
    "public_key",
]

# Numbers of libgpg-error, the lower 16 bits of what a status line gives.
_BAD_PASSPHRASE = 11
_NO_PASSPHRASE = 177

_CHUNK = 1024 * 1024
_CHUNKS_AHEAD = 16  # what gpg may decrypt while the reader works on something else


class Cause(Enum):
    """Why a message could not be decrypted."""

    EMPTY = "the file is empty. Ask for it to be sent again, or wait until its upload is complete."
    TRUNCATED = "the file is cut off: its upload was not complete. Wait for the upload to end, or send it again."
    CORRUPTED = "the file is damaged: it fails the integrity check. Have it sent again."
    FOLLOWED = "something follows the encrypted message in the file. Send one message per file."
    NOT_ENCRYPTED = "the file is not an encrypted OpenPGP message. Have it encrypted, or turn decryption off."
    OTHER_KEY = "the file is encrypted for another key. Check that GPG_DECRYPTION_KEY belongs to the key DOR uses."
    WRONG_PASSPHRASE = "the passphrase of the key is wrong. Check GPG_DECRYPTION_KEY_PASSPHRASE."  # noqa: S105 — not one
    NO_PASSPHRASE = "the key has a passphrase. Set GPG_DECRYPTION_KEY_PASSPHRASE."  # noqa: S105 — not one
    KEY_UNREADABLE = "GPG_DECRYPTION_KEY is not a private key in ASCII armor. Export it by gpg --export-secret-keys -a."
    NOT_READ_TO_THE_END = "it was not read to its end, so that its content is not verified."


class DecryptionFailed(NightferryError):
    """A message could not be decrypted and verified, so nothing that was read of it may be kept.

    ``cause`` says why; its text says what to do.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"Decryption failed: {cause.value}")
        self.cause = cause


class EncryptionFailed(NightferryError):
    """A file could not be encrypted, mostly because the public key is none. Nothing written may be kept."""


class Source(Protocol):
    """What the encrypted message is read from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none only at the end."""


class Target(Protocol):
    """What the encrypted message is written to."""

    def write(self, data: bytes, /) -> object:
        """Write all of ``data``."""


@dataclass(frozen=True)
class KeyPair:
    """A private key and its public key, both in ASCII armor."""

    private: SecretStr
    public: str


class Plaintext:
    """The plain text of a message while it is being decrypted.

    **It is not verified before :meth:`read` has returned the empty end**, which it does only after gpg ended well and
    verified the integrity of all that it gave; otherwise it raises :class:`DecryptionFailed` there. Whoever does
    something with the text before that must be able to undo it.
    """

    def __init__(self, keys: Keyring, source: Source, passphrase: SecretStr | None) -> None:
        self._status = keys.directory / "status"
        self._process = keys.start(["--status-file", str(self._status), "--decrypt"], passphrase)
        self._framing = Framing()
        self._chunks: queue.Queue[bytes] = queue.Queue(_CHUNKS_AHEAD)
        self._stopping = False
        self._ended = False
        self._verified = False
        self._chunk = b""
        self._position = 0  # in the chunk
        self._feeder = _Thread(lambda: self._feed(source))
        self._pump = _Thread(self._prefetch)

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most ``size``, less only at a convenient place or the end; all when negative.

        Raises DecryptionFailed at the end if the message is not whole and genuine, and what ``source`` raised.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
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
            raise DecryptionFailed(Cause.NOT_READ_TO_THE_END)
        if self._verified:
            return
        code = self._process.wait()
        self._feeder.join()
        self._feeder.reraise()
        self._pump.reraise()
        if cause := _cause(code, _status_lines(self._status), self._framing):
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

    def _feed(self, source: Source) -> None:
        stdin = _pipe(self._process.stdin)
        with contextlib.suppress(BrokenPipeError), stdin:  # gpg gave up on the message; it says why at the end
            while not self._stopping and (data := source.read(_CHUNK)):
                self._framing.feed(data)
                stdin.write(data)

    def _prefetch(self) -> None:
        try:
            with _pipe(self._process.stdout) as stdout:
                while data := stdout.read(_CHUNK):
                    self._chunks.put(data)
        finally:
            self._chunks.put(b"")


@contextmanager
def decrypt(source: Source, key: SecretStr, passphrase: SecretStr | None = None) -> Iterator[Plaintext]:
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


@contextmanager
def encrypt(target: Target, public_key: str) -> Iterator[IO[bytes]]:
    """A stream that encrypts what is written to it to the armored ``public_key``, into ``target``.

    The message is complete when the block has been left without an error.
    Raises EncryptionFailed, GpgMissing, and what ``target`` raises.
    """
    with keyring() as keys:
        recipient = keys.directory / "recipient.asc"
        recipient.write_text(public_key)
        process = keys.start(
            ["--trust-model", "always", "--compress-level", "1", "--recipient-file", str(recipient), "--encrypt"]
        )
        pump = _Thread(lambda: _copy(_pipe(process.stdout), target))
        stdin = _pipe(process.stdin)
        try:
            try:
                yield stdin
                stdin.close()
            except BrokenPipeError:
                process.kill()
                pump.join()
                pump.reraise()
                raise EncryptionFailed("gpg stopped before the file was encrypted. Check the public key.") from None
            pump.join()
            pump.reraise()
            if process.wait() != 0:
                raise EncryptionFailed("gpg could not encrypt. Check that the public key is one, in ASCII armor.")
        finally:
            process.kill()
            process.wait()
            pump.join()
            with contextlib.suppress(BrokenPipeError):
                stdin.close()


def generate_key(name: str, passphrase: SecretStr | None = None) -> KeyPair:
    """A new RSA key of 2,048 bits, as DOR's, for tests and demonstrations; ``name`` is its owner."""
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


def public_key(private: SecretStr) -> str:
    """The armored public key of the armored ``private`` key; DecryptionFailed when it is none."""
    with keyring() as keys:
        if not keys.import_private_key(private):
            raise DecryptionFailed(Cause.KEY_UNREADABLE)
        return keys.run(["--armor", "--export"]).decode()


class _Thread(threading.Thread):
    """A thread that is started at once and keeps the error that ended it."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="gpg")
        self._work = work
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._error = error

    def reraise(self) -> None:
        if self._error is not None:
            raise self._error


def _copy(source: IO[bytes], target: Target) -> None:
    with source:
        while data := source.read(_CHUNK):
            target.write(data)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # every gpg is started with pipes
    return stream


def _status_lines(file: Path) -> list[list[str]]:
    """The words of each status line, without its prefix ``[GNUPG:]``."""
    text = file.read_text(errors="replace") if file.exists() else ""
    return [words[1:] for words in map(str.split, text.splitlines()) if len(words) > 1]


def _cause(code: int, status: list[list[str]], framing: Framing) -> Cause | None:
    """Why the decryption failed; None when it ended well and gpg verified the integrity of one whole message."""
    seen = Counter(words[0] for words in status)
    once = ("BEGIN_DECRYPTION", "PLAINTEXT", "DECRYPTION_OKAY", "GOODMDC", "END_DECRYPTION")
    never = ("BADMDC", "DECRYPTION_FAILED", "FAILURE", "NODATA", "UNEXPECTED")
    if code == 0 and all(seen[word] == 1 for word in once) and not any(seen[word] for word in never):
        return None
    errors = {int(words[2]) & 0xFFFF for words in status if words[:2] == ["ERROR", "pkdecrypt_failed"]}
    if framing.size == 0:
        return Cause.EMPTY
    if _BAD_PASSPHRASE in errors:
        return Cause.WRONG_PASSPHRASE
    if _NO_PASSPHRASE in errors:
        return Cause.NO_PASSPHRASE
    if not framing.is_encrypted:
        return Cause.NOT_ENCRYPTED
    if seen["NO_SECKEY"] and not seen["DECRYPTION_KEY"]:
        return Cause.OTHER_KEY
    if framing.is_cut:
        return Cause.TRUNCATED
    return Cause.FOLLOWED if framing.is_followed else Cause.CORRUPTED
