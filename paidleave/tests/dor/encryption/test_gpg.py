"""Decryption and encryption with the real gpg: only complete and verified messages succeed."""

from __future__ import annotations

import contextlib
import io
import os
import random
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from nightferry.testing.tiers import LONG
from paidleave.dor import encryption
from paidleave.dor.encryption import Cause, DecryptionFailed, EncryptionFailed, KeyPair, keyring
from paidleave.dor.encryption.openpgp import Framing

pytestmark = pytest.mark.sampled(8)

PASSPHRASE = SecretStr("correct horse battery staple")
TEXT = b"".join(b"line %d of a file, with some text\n" % n for n in range(20_000))


@pytest.fixture(scope="module")
def key() -> KeyPair:
    return encryption.generate_key("Test")


@pytest.fixture(scope="module")
def protected_key() -> KeyPair:
    return encryption.generate_key("Protected", PASSPHRASE)


@pytest.fixture(scope="module")
def message(key: KeyPair) -> bytes:
    return encrypted(TEXT, key)


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide a directory for keyrings; check after each test that no keyring and no agent remain."""
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)
        assert sorted(Path(name).iterdir()) == []
        wait_until(lambda: not agents(name))


def agents(directory: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and any(directory in word for word in process.cmdline()):
                found.append(process)
    return found


def wait_until(condition: object, seconds: float = 10) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def encrypted(text: bytes, key: KeyPair) -> bytes:
    target = io.BytesIO()
    with encryption.encrypt(target, key.public) as stream:
        stream.write(text)
    return target.getvalue()


def decrypted(message: bytes, key: KeyPair, passphrase: SecretStr | None = None) -> bytes:
    with encryption.decrypt(io.BytesIO(message), key.private, passphrase) as plain:
        return plain.read()


def find_cause(message: bytes, key: KeyPair, passphrase: SecretStr | None = None) -> Cause:
    with pytest.raises(DecryptionFailed) as failure:
        decrypted(message, key, passphrase)
    return failure.value.cause


@pytest.mark.parametrize(
    "text", [b"", b"x", TEXT, random.Random(1).randbytes(3_000_000)], ids=["0", "1", "text", "3 MB"]
)
def test_round_trip(key: KeyPair, text: bytes) -> None:
    message = encrypted(text, key)
    assert len(text) < 100 or text[:100] not in message
    assert decrypted(message, key) == text


def test_key_with_passphrase(protected_key: KeyPair) -> None:
    message = encrypted(TEXT, protected_key)
    assert decrypted(message, protected_key, PASSPHRASE) == TEXT
    assert find_cause(message, protected_key, SecretStr("wrong")) is Cause.WRONG_PASSPHRASE
    assert find_cause(message, protected_key) is Cause.NO_PASSPHRASE


def test_public_key_is_exported_from_private_key(key: KeyPair, protected_key: KeyPair) -> None:
    assert encryption.export_public_key(key.private) == key.public
    assert encryption.export_public_key(protected_key.private) == protected_key.public
    with pytest.raises(DecryptionFailed) as failure:
        encryption.export_public_key(SecretStr(key.public))
    assert failure.value.cause is Cause.KEY_UNREADABLE


def test_armored_message(key: KeyPair, message: bytes) -> None:
    with keyring.keyring() as keys:
        armored = keys.run(["--enarmor"], message).replace(b"PGP ARMORED FILE", b"PGP MESSAGE")
    assert decrypted(armored, key) == TEXT
    assert find_cause(armored[: len(armored) // 2], key) is Cause.TRUNCATED


def test_wrong_key(key: KeyPair, protected_key: KeyPair, message: bytes) -> None:
    assert find_cause(message, protected_key, PASSPHRASE) is Cause.OTHER_KEY


@pytest.mark.parametrize("text", ["", "junk", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF\n"])
def test_invalid_key(message: bytes, text: str) -> None:
    with pytest.raises(DecryptionFailed, match="GPG_DECRYPTION_KEY is not an armored private key") as failure:
        decrypted(message, KeyPair(SecretStr(text), ""))
    assert failure.value.cause is Cause.KEY_UNREADABLE
    with pytest.raises(EncryptionFailed, match="public key"):
        encrypted(TEXT * 10, KeyPair(SecretStr(""), text))


@pytest.mark.parametrize("plain", [TEXT, b"4", b"\x00" * 100, b"\xff" * 100_000, "“quoted”".encode()])
def test_unencrypted_file(key: KeyPair, plain: bytes) -> None:
    assert find_cause(plain, key) is Cause.NOT_ENCRYPTED


def test_unencrypted_openpgp_message_is_rejected(key: KeyPair) -> None:
    with keyring.keyring() as keys:
        stored = keys.run(["--store"], TEXT)
    assert find_cause(stored, key) is Cause.NOT_ENCRYPTED


def test_empty_file(key: KeyPair) -> None:
    assert find_cause(b"", key) is Cause.EMPTY


def test_truncated_message_is_rejected(key: KeyPair, message: bytes) -> None:
    size = len(message)
    places = {
        1,
        2,
        3,
        10,
        50,
        200,
        269,
        270,
        271,
        272,
        273,
        274,
        280,
        300,
        8000,
        size - 1,
        size - 20,
        size - 22,
        size - 23,
    }
    places |= set(random.Random(2).sample(range(1, size), 12))
    causes = {place: find_cause(message[:place], key) for place in sorted(places)}
    assert set(causes.values()) == {Cause.TRUNCATED}, causes


def test_message_with_changed_bit_is_rejected_or_unaffected(key: KeyPair, message: bytes) -> None:
    """Some bits of the session key packet have no effect, so the text is unchanged."""
    size = len(message)
    places = [
        0,
        1,
        2,
        5,
        12,
        14,
        20,
        100,
        270,
        271,
        272,
        273,
        274,
        275,
        290,
        300,
        1000,
        size - 1,
        size - 20,
        size - 22,
        size - 23,
    ]
    places += random.Random(3).sample(range(size), 15)
    refused = 0
    for place in places:
        changed = bytearray(message)
        changed[place] ^= 1 << place % 8
        try:
            assert decrypted(bytes(changed), key) == TEXT
        except DecryptionFailed:
            refused += 1
    assert refused >= len(places) - 3


def test_altered_uncompressed_message_fails_only_at_its_end(key: KeyPair) -> None:
    """The text is returned before gpg detects the change, so the caller must wait for the end."""
    text = random.Random(4).randbytes(
        2_000_000
    )  # Incompressible, so that gpg does not detect the change while inflating.
    with keyring.keyring() as keys:
        (keys.directory / "key").write_text(key.public)
        options = [
            "--trust-model",
            "always",
            "--compress-algo",
            "none",
            "--recipient-file",
            str(keys.directory / "key"),
        ]
        message = bytearray(keys.run([*options, "--encrypt"], text))
    message[1_000_000] ^= 1
    received = 0
    with pytest.raises(DecryptionFailed) as failure, encryption.decrypt(io.BytesIO(message), key.private) as plain:  # noqa: PT012 — the whole block is tested
        while data := plain.read(1000):
            received += len(data)
    assert received > 900_000
    assert failure.value.cause is Cause.CORRUPTED


def test_two_messages_in_a_file_are_rejected(key: KeyPair, message: bytes) -> None:
    assert find_cause(message + message, key) is Cause.SEVERAL_MESSAGES


@pytest.mark.parametrize("garbage", [b"\n", b"some text\n", bytes(1000), random.Random(5).randbytes(1000), TEXT])
def test_garbage_after_a_message_is_rejected(key: KeyPair, message: bytes, garbage: bytes) -> None:
    assert find_cause(message + garbage, key) is Cause.TRAILING_DATA


def test_garbage_before_a_message_is_rejected(key: KeyPair, message: bytes) -> None:
    assert find_cause(b"some text\n" + message, key) is Cause.NOT_ENCRYPTED


def test_incomplete_read_fails_as_unverified(key: KeyPair, message: bytes) -> None:
    with pytest.raises(DecryptionFailed) as failure, encryption.decrypt(io.BytesIO(message), key.private) as plain:
        assert plain.read(6) == b"line 0"
    assert failure.value.cause is Cause.NOT_FULLY_READ


def test_reading_all_bytes_and_finishing_succeeds(key: KeyPair, message: bytes) -> None:
    with encryption.decrypt(io.BytesIO(message), key.private) as plain:
        data = b""
        while len(data) < len(TEXT):
            data += plain.read(len(TEXT) - len(data))
        plain.finish()
        assert plain.read(1) == b""
    assert data == TEXT


def test_failure_is_permanent(key: KeyPair, message: bytes) -> None:
    with pytest.raises(DecryptionFailed), encryption.decrypt(io.BytesIO(message[:-1]), key.private) as plain:  # noqa: PT012 — the whole block is tested
        for _ in range(3):
            with pytest.raises(DecryptionFailed):
                plain.read()


def test_error_in_the_block_stops_gpg_and_is_raised(key: KeyPair, temporary_directory: Path) -> None:
    endless = encrypted(bytes(50_000_000), key)
    with pytest.raises(KeyboardInterrupt), encryption.decrypt(io.BytesIO(endless), key.private) as plain:  # noqa: PT012 — the whole block is tested
        assert plain.read(1)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), encryption.encrypt(io.BytesIO(), key.public) as stream:  # noqa: PT012 — the whole block is tested
        stream.write(TEXT)
        raise KeyboardInterrupt


def test_error_of_the_source_is_raised(key: KeyPair, message: bytes) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if data := super().read(min(size or 0, 1000)):
                return data
            raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError), encryption.decrypt(Broken(message), key.private) as plain:
        plain.read()


def test_error_of_the_target_is_raised(key: KeyPair) -> None:
    class Full:
        def write(self, data: bytes, /) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), encryption.encrypt(Full(), key.public) as stream:  # noqa: PT012 — the whole block is tested
        for _ in range(100):
            stream.write(random.Random(6).randbytes(100_000))


def test_slow_source_with_small_chunks(key: KeyPair, message: bytes) -> None:
    class Slow:
        def __init__(self) -> None:
            self._data = io.BytesIO(message)

        def read(self, size: int, /) -> bytes:
            return self._data.read(min(size, 997))

    with encryption.decrypt(Slow(), key.private) as plain:
        assert plain.read() == TEXT


def test_large_streams_in_both_directions(key: KeyPair) -> None:
    """Encryption feeds decryption with more data than all pipes and queues can hold."""
    reading, writing = os.pipe()
    block = random.Random(7).randbytes(1_000_000)
    blocks = 60 if LONG else 40

    def produce() -> None:
        with os.fdopen(writing, "wb") as target, encryption.encrypt(target, key.public) as stream:
            for _ in range(blocks):
                stream.write(block)

    producer = threading.Thread(target=produce)
    producer.start()
    with os.fdopen(reading, "rb") as source, encryption.decrypt(source, key.private) as plain:
        for _ in range(blocks):
            assert b"".join(iter(ReadUpTo(plain, len(block)), b"")) == block
        assert plain.read(1) == b""
    producer.join()


class ReadUpTo:
    """Condition that is True after ``size`` bytes have been read from the stream."""

    def __init__(self, stream: encryption.Plaintext, size: int) -> None:
        self._stream = stream
        self._left = size

    def __call__(self) -> bytes:
        data = self._stream.read(self._left) if self._left else b""
        self._left -= len(data)
        return data


def test_missing_gpg_names_the_package_to_install(
    key: KeyPair, message: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(encryption.GpgMissing, match="apt-get install gnupg"):
        decrypted(message, key)
    with pytest.raises(encryption.GpgMissing):
        encrypted(TEXT, key)


def test_messages_do_not_contain_gpg_output(key: KeyPair, protected_key: KeyPair, message: bytes) -> None:
    for broken, pair in ((message[:-30], key), (message, protected_key), (TEXT, key)):
        with pytest.raises(DecryptionFailed) as failure:
            decrypted(broken, pair, PASSPHRASE)
        text = str(failure.value)
        assert "gpg:" not in text
        assert "Test" not in text
        assert PASSPHRASE.get_secret_value() not in text
        assert failure.value.__cause__ is None


def test_arguments_and_environments_contain_no_keys_or_passphrases(
    protected_key: KeyPair, monkeypatch: pytest.MonkeyPatch, temporary_directory: Path
) -> None:
    monkeypatch.setenv("GPG_DECRYPTION_KEY_PASSPHRASE", PASSPHRASE.get_secret_value())
    message = encrypted(bytes(50_000_000), protected_key)
    with (
        contextlib.suppress(DecryptionFailed),
        encryption.decrypt(io.BytesIO(message), protected_key.private, PASSPHRASE) as plain,
    ):
        plain.read(1)
        processes = agents(str(temporary_directory))
        assert len(processes) == 2  # gpg and its agent
        for process in processes:
            shown = " ".join(process.cmdline()) + str(process.environ())
            assert PASSPHRASE.get_secret_value() not in shown
            assert "PRIVATE KEY" not in shown
        (home,) = temporary_directory.iterdir()
        assert home.stat().st_mode & 0o777 == 0o700


READING = textwrap.dedent("""
    import io, signal, sys
    from paidleave.dor import encryption
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    key = encryption.generate_key("Left")
    target = io.BytesIO()
    with encryption.encrypt(target, key.public) as stream:
        stream.write(bytes(50_000_000))
    with encryption.decrypt(io.BytesIO(target.getvalue()), key.private) as plain:
        plain.read(1)
        print("reading", flush=True)
        sys.stdin.read()
""")


@contextlib.contextmanager
def reading_process(temporary_directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a Python process that is decrypting a message."""
    with subprocess.Popen(
        [sys.executable, "-c", READING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary_directory)},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process


def test_sigterm_removes_keyring_and_processes(temporary_directory: Path) -> None:
    with reading_process(temporary_directory) as process:
        process.terminate()
        assert process.wait(timeout=10) == 143
    # The fixture asserts that no directory, gpg process or agent remains.


def test_next_keyring_removes_that_of_a_killed_process(temporary_directory: Path) -> None:
    with reading_process(temporary_directory) as process:
        with keyring.keyring():  # The keyring of the live process is retained.
            assert len(list(temporary_directory.iterdir())) == 2
        process.kill()
        process.wait()
    assert len(list(temporary_directory.iterdir())) == 1
    with keyring.keyring() as keys:
        assert list(temporary_directory.iterdir()) == [keys.directory]


def test_long_path_of_temporary_directory(
    key: KeyPair, message: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert decrypted(message, key) == TEXT


# Framing -------------------------------------------------------------------------------------------------------------


def new_length(size: int) -> bytes:
    if size < 192:
        return bytes([size])
    if size < 8384:
        return bytes([((size - 192) >> 8) + 192, (size - 192) & 0xFF])
    return b"\xff" + size.to_bytes(4)


@st.composite
def packet(draw: st.DrawFn, tag: int) -> bytes:
    """Draw a packet in any form of RFC 4880 with a known length."""
    body = bytes(draw(st.one_of(st.integers(0, 300), st.sampled_from([191, 192, 8383, 8384, 70_000]))))
    match draw(st.sampled_from(["new", "old", "partial"])):
        case "old" if tag < 16:
            length_type = 0 if len(body) < 256 else 1 if len(body) < 65_536 else 2
            return bytes([0x80 | tag << 2 | length_type]) + len(body).to_bytes(1 << length_type) + body
        case "partial" if len(body) >= 512:
            return bytes([0xC0 | tag, 0xE0 | 9]) + body[:512] + new_length(len(body) - 512) + body[512:]
        case _:
            return bytes([0xC0 | tag]) + new_length(len(body)) + body


def parsed(data: bytes, pieces: int) -> Framing:
    framing = Framing()
    for start in range(0, len(data), pieces):
        framing.feed(data[start : start + pieces])
    return framing


@settings(max_examples=600 if LONG else 8, deadline=None)
@given(
    session_key=packet(1),
    content=packet(18),
    cut=st.floats(0, 1, exclude_max=True),
    pieces=st.sampled_from([1, 3, 1000, 100_000]),
)
def test_framing_detects_the_end_of_a_message(session_key: bytes, content: bytes, cut: float, pieces: int) -> None:
    message = session_key + content
    whole = parsed(message, pieces)
    assert not whole.is_truncated
    assert not whole.has_trailing_data
    assert whole.size == len(message)
    assert parsed(message[: int(len(message) * cut)], pieces).is_truncated
    assert parsed(message + session_key, pieces).has_trailing_data
