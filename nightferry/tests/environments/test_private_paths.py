"""What another account could have created or changed is refused, and never followed, repaired or waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nightferry.environments.private_paths import (
    NotPrivate,
    create_private_folder,
    open_private,
    read_private_text,
    write_durably,
)
from nightferry.environments.state_folder import create_state_folder
from tests.accounts import give_away


def make_link(path: Path) -> None:
    (path.parent / "target").mkdir()
    path.symlink_to(path.parent / "target")


def make_writable(path: Path, mode: int) -> None:
    path.mkdir()
    path.chmod(mode)


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (make_link, "is a symbolic link"),
    "dangling-link": (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
    "file": (lambda path: path.touch(), "is not a folder"),
    "pipe": (os.mkfifo, "is not a folder"),
    "group-writable": (lambda path: make_writable(path, 0o770), "Other accounts can write"),
    "world-writable": (lambda path: make_writable(path, 0o1777), "Other accounts can write"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_that_others_prepared_is_refused(tmp_path: Path, kind: str) -> None:
    make, message = FOLDERS[kind]
    make(tmp_path / "shared")
    with pytest.raises(NotPrivate, match=message):
        create_private_folder(tmp_path / "shared")


def test_a_folder_of_another_account_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_private_folder(tmp_path / "shared")
    create_private_folder(tmp_path / "shared")
    give_away(tmp_path / "shared", monkeypatch)
    with pytest.raises(NotPrivate, match=r"belongs to the account|controls"):
        create_private_folder(tmp_path / "shared")


def test_a_folder_that_others_can_rename_is_refused(tmp_path: Path) -> None:
    make_writable(tmp_path / "open", 0o777)
    with pytest.raises(NotPrivate, match="every account can write"):
        create_private_folder(tmp_path / "open" / "mine")
    (tmp_path / "open").chmod(0o1777)  # as /tmp
    create_private_folder(tmp_path / "open" / "mine")


@pytest.mark.parametrize("umask", [0, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        create_private_folder(tmp_path / "above" / "below")
        create_private_folder(tmp_path / "passable", 0o711)
        with open_private(tmp_path / "log", "a"):
            pass
        write_durably(tmp_path / "id", "x")
    finally:
        os.umask(before)
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("above", "passable", "log", "id")}
    assert modes == {"above": 0o700, "passable": 0o711, "log": 0o600, "id": 0o600}


def test_a_readable_file_of_an_older_version_becomes_private(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    (tmp_path / "log").chmod(0o644)
    with open_private(tmp_path / "log", "a") as log:
        log.write("after\n")
    assert (tmp_path / "log").read_text() == "before\nafter\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is not a file"),
    "folder": (lambda path: path.mkdir(), "is not a file"),
    "link": (lambda path: path.symlink_to("/etc/hostname"), "is a symbolic link"),
    "large": (lambda path: path.write_bytes(bytes(2 << 20)), "more than"),
}


@pytest.mark.parametrize("kind", FILES)
def test_only_an_ordinary_file_is_read(tmp_path: Path, kind: str) -> None:
    make, message = FILES[kind]
    make(tmp_path / "file")
    with pytest.raises(NotPrivate, match=message):
        read_private_text(tmp_path / "file")


@pytest.mark.parametrize(
    ("mode", "plain", "secret"), [(0o600, True, True), (0o644, True, False), (0o660, False, False)]
)
def test_a_file_is_read_by_its_mode(tmp_path: Path, mode: int, plain: bool, secret: bool) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "file").chmod(mode)
    for allowed, as_secret in ((plain, False), (secret, True)):
        if allowed:
            assert read_private_text(tmp_path / "file", secret=as_secret) == "text"
        else:
            with pytest.raises(NotPrivate, match=f"mode {mode:o}.*chmod 600"):
                read_private_text(tmp_path / "file", secret=as_secret)


def test_a_file_of_another_account_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_durably(tmp_path / "id", "x")
    give_away(tmp_path / "id", monkeypatch)
    with pytest.raises(NotPrivate, match="belongs to the account"):
        read_private_text(tmp_path / "id")


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronized: list[tuple[bool, bool]] = []
    sync = os.fsync

    def record(descriptor: int) -> None:
        synchronized.append((Path(f"/proc/self/fd/{descriptor}").resolve() == tmp_path, (tmp_path / "id").exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    write_durably(tmp_path / "id", "first", replace=False)
    assert synchronized == [(False, False), (True, True)], "the file without its name, then the folder with it"
    with pytest.raises(FileExistsError):
        write_durably(tmp_path / "id", "second", replace=False)
    assert (tmp_path / "id").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["id"]


def test_a_state_directory_may_be_behind_a_link_of_this_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").symlink_to("disk")
    create_state_folder(tmp_path / "state")
    give_away(tmp_path / "state", monkeypatch)
    with pytest.raises(NotPrivate, match=r"is a symbolic link|belongs to the account"):
        create_state_folder(tmp_path / "state")


@pytest.mark.parametrize("mode", [0o770, 0o777])
def test_a_state_directory_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    make_writable(tmp_path / "state", mode)
    with pytest.raises(NotPrivate, match="chmod go-w"):
        create_state_folder(tmp_path / "state")
