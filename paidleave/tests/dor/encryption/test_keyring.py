"""Another account can create names in the temporary folder: they neither block a keyring nor are used or removed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
