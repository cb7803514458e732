"""A private, temporary gpg keyring: a directory with its own agent, both gone when the work is done.

The directory stays locked while it is in use. One that a killed process left behind isn't, so the next keyring
removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from nightferry.errors import NightferryError

_PREFIX = "nightferry-gpg-"
# The agent's sockets lie in the directory, and the kernel limits a socket's path to 107 bytes.
_MAX_BASE_PATH_BYTES = 60

# Don't look for smart cards; and don't spend seconds on finding out how many rounds of hashing would protect a key
# best that lives for the time of one file in a private directory.
_AGENT_SETTINGS = "disable-scdaemon\ns2k-count 65536\n"


class GpgMissing(NightferryError):
    """The system has no gpg. Install it, for example by ``apt-get install gnupg``."""

    def __init__(self) -> None:
        super().__init__("gpg is not installed. Install it, for example by: apt-get install gnupg")


class KeyFailed(NightferryError):
    """gpg could not make or export a key. Check its name and passphrase."""


class Keyring:
    """The keys in ``directory``, and gpg working with them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def import_private_key(self, key: SecretStr) -> bool:
        """Take in an armored private key; False when ``key`` isn't one."""
        status = self.directory / "imported"
        process = self.start(["--status-file", str(status), "--import"])
        process.communicate(key.get_secret_value().encode())
        lines = status.read_text(errors="replace").splitlines() if status.exists() else []
        # IMPORT_OK <flags> <fingerprint>; flag 16: the key has a private part.
        flags = [int(words[2]) for words in map(str.split, lines) if words[1:2] == ["IMPORT_OK"]]
        return any(flag & 16 for flag in flags)

    def run(self, arguments: Sequence[str], data: bytes = b"", passphrase: SecretStr | None = None) -> bytes:
        """What gpg writes when it reads ``data``; KeyFailed when it fails."""
        process = self.start(arguments, passphrase)
        output, _ = process.communicate(data)
        if process.returncode != 0 or not (output or data):
            raise KeyFailed(f"gpg {arguments[-1]} failed. Check the key and its passphrase.")
        return output

    def start(self, arguments: Sequence[str], passphrase: SecretStr | None = None) -> subprocess.Popen[bytes]:
        """Start gpg with pipes for input and output; GpgMissing when there is none."""
        reading, writing = os.pipe()
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write((passphrase.get_secret_value() if passphrase else "").encode())
            return subprocess.Popen(
                [
                    *("gpg", "--homedir", str(self.directory), "--batch", "--no-tty"),
                    *("--pinentry-mode", "loopback", "--passphrase-fd", str(reading), *arguments),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(reading,),
                env=_make_environment(),
            )
        except FileNotFoundError:
            raise GpgMissing from None
        finally:
            os.close(reading)


@contextmanager
def keyring() -> Iterator[Keyring]:
    """A new, empty keyring for the time of the block."""
    base = _find_base_directory()
    _remove_abandoned(base)
    # It gets its lasting name when it is locked, so that nobody takes it for abandoned in between.
    unlocked = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=base))
    with (unlocked / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        directory = unlocked.rename(base / unlocked.name.removeprefix("."))
        try:
            (directory / "gpg-agent.conf").write_text(_AGENT_SETTINGS)
            yield Keyring(directory)
        finally:
            _remove(directory)


def _find_base_directory() -> Path:
    base = Path(tempfile.gettempdir())
    return base if len(os.fsencode(base)) <= _MAX_BASE_PATH_BYTES else Path("/tmp")  # noqa: S108 — the directory in it is private


def _make_environment() -> dict[str, str]:
    """Nothing of ours but where to find gpg: the task's environment holds the key."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _remove_abandoned(base: Path) -> None:
    for directory in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (directory / "lock").open("rb") as lock:  # others' are none of our business
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(directory)


def _remove(directory: Path) -> None:
    for command in (["--kill", "gpg-agent"], ["--remove-socketdir"]):
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(
                ["gpgconf", "--homedir", str(directory), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_make_environment(),
                check=False,
            )
    # The agent removes its sockets at the same time, which may trip the first attempt.
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        shutil.rmtree(directory)
