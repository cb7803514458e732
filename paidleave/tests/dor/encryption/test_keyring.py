"""Another account can create names in the temporary folder: they neither block a keyring nor are used or removed."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from nightferry import Stopped
from paidleave.dor.encryption import keyring


@pytest.fixture
def temporary_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def plant_pipe(directory: Path) -> None:
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    os.mkfifo(directory / "lock")


def plant_link_to_pipe(directory: Path) -> None:
    directory.mkdir()
    (directory / "lock").symlink_to(directory.parent / "nightferry-gpg-pipe")
    os.mkfifo(directory.parent / "nightferry-gpg-pipe")


def plant_link(directory: Path) -> None:
    (directory.parent / "precious").mkdir()
    (directory.parent / "precious" / "lock").touch()
    directory.symlink_to(directory.parent / "precious")


def plant_readable(directory: Path) -> None:
    directory.mkdir(mode=0o755)
    (directory / "lock").touch()


def plant_foreign(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / "lock").touch()
    (directory / "gpg.conf").write_text("no-such-option\n")
    os.chown(directory, 54321, 54321)


PLANTED = [
    plant_pipe,
    plant_link_to_pipe,
    plant_link,
    plant_readable,
    pytest.param(
        plant_foreign, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a folder")
    ),
]


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.timeout(20)
def test_a_keyring_neither_waits_for_nor_removes_what_others_planted(
    temporary_directory: Path, plant: Callable[[Path], None]
) -> None:
    planted = temporary_directory / "nightferry-gpg-planted"
    plant(planted)
    before = sorted(temporary_directory.rglob("*"))
    with keyring.keyring() as used:
        assert used.directory.stat().st_mode & 0o777 == 0o700
    assert sorted(temporary_directory.rglob("*")) == before


def test_a_stop_during_the_removal_leaves_nothing(temporary_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = subprocess.run
    stops = iter([Stopped()])

    def run_once_stopped(*arguments: object, **options: object) -> object:
        for stop in stops:
            raise stop
        return run(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", run_once_stopped)
    with pytest.raises(Stopped), keyring.keyring():
        pass
    assert list(temporary_directory.iterdir()) == []


def test_an_interrupted_removal_is_completed_by_the_next_keyring(
    temporary_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    unlink = os.unlink

    def unlink_nothing_more(name: str, *, dir_fd: int | None = None) -> None:
        unlink(name, dir_fd=dir_fd)
        raise Killed

    with pytest.raises(Killed), keyring.keyring():
        monkeypatch.setattr(os, "unlink", unlink_nothing_more)
    assert list(temporary_directory.iterdir())
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary_directory))
    with keyring.keyring():
        pass
    assert list(temporary_directory.iterdir()) == []


def test_a_stop_ends_a_running_gpg(temporary_directory: Path) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    started: list[subprocess.Popen[bytes]] = []
    with keyring.keyring() as keys:
        start = keys.start

        def start_reader(arguments: object, passphrase: SecretStr | None = None) -> subprocess.Popen[bytes]:
            started.append(start(["--gen-random", "0"], passphrase))  # endless
            return started[-1]

        keys.start = start_reader  # type: ignore[method-assign]

        def stop_gpg() -> None:
            while not started:
                time.sleep(0.01)
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGUSR1)

        before = signal.signal(signal.SIGUSR1, stop)
        threading.Thread(target=stop_gpg).start()
        with pytest.raises(Stopped):
            keys.run(["--export"])
        signal.signal(signal.SIGUSR1, before)
    assert started[0].returncode == -signal.SIGKILL
