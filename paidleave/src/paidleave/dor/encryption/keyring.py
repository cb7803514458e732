"""A private, temporary gpg keyring: a directory with its own agent, both removed after use.

The directory has a locked file while it is in use. The lock ends with a killed process, so the next keyring removes its
directory. The system's temporary folder is shared, so a directory is only considered if it belongs to this account, and
neither links nor other kinds of files are opened in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from nightferry import NightferryError, Stopped

_PREFIX = "nightferry-gpg-"
_LOCK = "lock"
_OPEN_LOCK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a named pipe does not wait
# The directory contains the agent's sockets, and the kernel limits the path of a socket to 107 bytes.
_MAX_BASE_PATH_BYTES = 60

# Disable smart cards. Use a fixed count of hash rounds, because the agent would otherwise spend seconds on calibrating
# it, and the key exists only in a private directory for the duration of one file.
_AGENT_SETTINGS = "disable-scdaemon\ns2k-count 65536\n"


class GpgMissing(NightferryError):
    """The system has no gpg. Install it, for example by ``apt-get install gnupg``."""

    def __init__(self) -> None:
        super().__init__("gpg is not installed. Install it, for example by: apt-get install gnupg")


class KeyFailed(NightferryError):
    """gpg could not generate or export a key. Check its name and passphrase."""


class Keyring:
    """A gpg keyring in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def import_private_key(self, key: SecretStr) -> bool:
        """Import an armored private key; return False if ``key`` is not one."""
        # Flag 16 is set if the key has a private part.
        return any(flags & 16 for flags, _ in self._import(key.get_secret_value()))

    def import_public_keys(self, keys: str) -> set[str]:
        """Import armored public keys and return their fingerprints; an empty set if there are none."""
        return {fingerprint for _, fingerprint in self._import(keys)}

    def _import(self, keys: str) -> list[tuple[int, str]]:
        """Import armored keys and return the flags and fingerprint of each."""
        _, output = self._run(["--status-fd", "1", "--import"], keys.encode())
        # The format is [GNUPG:] IMPORT_OK <flags> <fingerprint>.
        lines = [line.split() for line in output.decode(errors="replace").splitlines()]
        return [(int(words[2]), words[3]) for words in lines if words[1:2] == ["IMPORT_OK"]]

    def run(self, arguments: Sequence[str], data: bytes = b"", passphrase: SecretStr | None = None) -> bytes:
        """Run gpg with the input ``data`` and return its output.

        Raises:
            KeyFailed: gpg failed.
        """
        code, output = self._run(arguments, data, passphrase)
        if code != 0 or not (output or data):
            raise KeyFailed(f"gpg {arguments[-1]} failed. Check the key and its passphrase.")
        return output

    def _run(self, arguments: Sequence[str], data: bytes, passphrase: SecretStr | None = None) -> tuple[int, bytes]:
        """Run gpg and return its exit code and output."""
        with self.start(arguments, passphrase) as process:
            try:
                output, _ = process.communicate(data)
            except BaseException:  # such as a stop of the job
                process.kill()
                raise
        return process.returncode, output

    def start(self, arguments: Sequence[str], passphrase: SecretStr | None = None) -> subprocess.Popen[bytes]:
        """Start gpg with pipes for input and output.

        Raises:
            GpgMissing: gpg is not installed.
        """
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
    """Create an empty keyring and remove it at the end of the block."""
    base = _find_base_directory()
    _remove_abandoned(base)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    # The lock gets its name only when it is held, so that no other process removes the directory as abandoned.
    with contextlib.ExitStack() as closing:
        try:
            lock = closing.enter_context((directory / "new-lock").open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            (directory / "new-lock").rename(directory / _LOCK)
            (directory / "gpg-agent.conf").write_text(_AGENT_SETTINGS)
            yield Keyring(directory)
        finally:
            try:
                _remove(directory)
            except Stopped:  # It is raised only once.
                _remove(directory)
                raise


def _find_base_directory() -> Path:
    base = Path(tempfile.gettempdir())
    return base if len(os.fsencode(base)) <= _MAX_BASE_PATH_BYTES else Path("/tmp")  # noqa: S108 — the keyring's directory in it is private


def _make_environment() -> dict[str, str]:
    """Return an environment with PATH only, because the environment of the task contains the key."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _remove_abandoned(base: Path) -> None:
    for directory in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # Skip locked directories, and those that another process has just removed.
            status = directory.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                continue
            with os.fdopen(os.open(directory / _LOCK, _OPEN_LOCK), "rb") as lock:
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
    # The lock is removed last, so that the next keyring removes the rest if this process is killed.
    for entry in directory.iterdir():
        if entry.name != _LOCK and entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != _LOCK:
            entry.unlink(missing_ok=True)  # The agent removes its sockets concurrently.
    shutil.rmtree(directory)
