"""The account of the server of root: created where a program for that is missing, refused if somebody can use it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from nightferry.local.services import account
from nightferry.local.services.account import AccountUnusable, find_account

PASSWD = "root:x:0:0:root:/root:/bin/bash\nbin:x:999:998::/:/sbin/nologin\n"
GROUP = "root:x:0:\nusers:x:997:\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system of root with the files ``passwd`` and ``group``, and without programs."""
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "group").write_text(GROUP.rstrip())  # without a line end

    def find(name: str) -> pwd.struct_passwd:
        for line in (tmp_path / "passwd").read_text().splitlines():
            words: list[str] = line.split(":")
            if words[0] == name:
                return pwd.struct_passwd([*words[:2], int(words[2]), int(words[3]), *words[4:]])
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", find)
    monkeypatch.setattr(account, "_PASSWD", tmp_path / "passwd")
    monkeypatch.setattr(account, "_GROUP", tmp_path / "group")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_the_account_is_added_in_a_container_without_useradd(system: Path) -> None:
    found = find_account(system / "lock")
    assert found is not None
    assert (found.pw_uid, found.pw_gid, found.pw_shell) == (998, 998, "/usr/sbin/nologin"), "an unused ID"
    assert (system / "passwd").read_text().startswith(PASSWD)
    assert (system / "group").read_text() == f"{GROUP}nightferry-db:x:998:\n"
    assert (system / "passwd").stat().st_mode & 0o777 == 0o644
    assert find_account(system / "lock") == found
    assert (system / "passwd").read_text().count("nightferry-db") == 1


@pytest.mark.parametrize(("program", "option"), [("useradd", "--system"), ("adduser", "-S")])
def test_the_account_is_created_by_the_program_of_the_system(system: Path, program: str, option: str) -> None:
    for name in (program, "addgroup"):
        (system / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {system}/calls\n')
        (system / name).chmod(0o755)
    (system / program).write_text(
        (system / program).read_text() + f"echo nightferry-db:x:100:100::/:/sbin/nologin >> {system}/passwd\n"
    )
    assert find_account(system / "lock") == pwd.getpwnam("nightferry-db")
    assert (system / "calls").read_text().splitlines()[-1].startswith(f"{program} {option} ")


def test_a_failed_creation_is_reported_with_its_reason(system: Path) -> None:
    (system / "useradd").write_text("#!/bin/sh\necho cannot lock /etc/passwd >&2\nexit 1\n")
    (system / "useradd").chmod(0o755)
    with pytest.raises(AccountUnusable, match=r"useradd: cannot lock /etc/passwd\nCreate it as a system account"):
        find_account(system / "lock")


@pytest.mark.parametrize("content", ["", "root:x\n", None])
def test_unusual_files_of_a_container_are_reported(system: Path, content: str | None) -> None:
    (system / "group").unlink()
    if content is not None:
        (system / "passwd").write_text(content)
    with pytest.raises(AccountUnusable, match=r"has no program useradd, and .*passwd cannot be extended"):
        find_account(system / "lock")


@pytest.mark.parametrize("entry", ["nightferry-db:x:0:0::/:/sbin/nologin", "nightferry-db:x:9:9::/home:/bin/bash"])
def test_an_account_that_somebody_can_use_is_refused(system: Path, entry: str) -> None:
    (system / "passwd").write_text(f"{PASSWD}{entry}\n")
    with pytest.raises(AccountUnusable, match="Nightferry reserves the name"):
        find_account(system / "lock")


def test_other_users_run_the_server_themselves(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert find_account(system / "lock") is None
