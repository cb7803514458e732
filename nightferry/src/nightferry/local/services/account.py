"""The account of this machine under which root runs PostgreSQL, which refuses to run as root.

No person and no other program uses the account, because its programs can change the databases. It is created when it is
needed, also in containers without ``useradd``.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.environments.private_paths import open_private, write_durably
from nightferry.errors import NightferryError

NAME = "nightferry-db"
_NO_LOGIN = "/usr/sbin/nologin"
_SYSTEM_IDS = range(999, 100, -1)  # the IDs of system accounts, as useradd --system selects them
_PASSWD, _GROUP = Path("/etc/passwd"), Path("/etc/group")


class AccountUnusable(NightferryError):
    """The account for PostgreSQL cannot be created, or somebody else can use it. The message has the fix."""


def find_account(lock: Path) -> pwd.struct_passwd | None:
    """Return the account to run the server as if this process runs as root, else None; create it if necessary.

    ``lock`` is a file of root: processes that need the account at once create it one after the other.
    """
    if os.geteuid() != 0:
        return None
    try:
        return _check(pwd.getpwnam(NAME))
    except KeyError:
        with _hold(lock):
            return _check(_create())


def _check(account: pwd.struct_passwd) -> pwd.struct_passwd:
    if account.pw_uid == 0 or Path(account.pw_shell).name not in ("nologin", "false"):
        raise AccountUnusable(
            f"Account '{NAME}' exists, but it is root or has a login shell ({account.pw_shell}). Nightferry reserves "
            f"the name for its databases. Rename that account, or run: usermod --shell {_NO_LOGIN} {NAME}"
        )
    return account


@contextmanager
def _hold(lock: Path) -> Iterator[None]:
    with open_private(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(NAME)  # another process was first
    except KeyError:
        pass
    reason = ""
    options = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", _NO_LOGIN)
    if shutil.which("useradd"):
        reason = _run("useradd", "--system", "--user-group", *options, NAME)
    elif shutil.which("adduser"):  # BusyBox
        reason = _run("addgroup", "-S", NAME) or _run(
            "adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", "-G", NAME, NAME
        )
    else:
        try:
            _append_account()
        except (OSError, ValueError, IndexError, StopIteration) as error:
            reason = f"This system has no program useradd, and {_PASSWD} cannot be extended: {error}."
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        raise AccountUnusable(
            f"PostgreSQL refuses to run as root, and account '{NAME}' could not be created. {reason}\nCreate it as a "
            "system account without a login shell, or run the command as another user."
        ) from None


def _run(*command: str) -> str:
    """Run a command, and return its output if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}" if done.returncode else ""


def _append_account() -> None:
    """Add the account to the files of a container that has no program for it."""
    used = {int(line.split(":")[2]) for file in (_PASSWD, _GROUP) for line in file.read_text().splitlines() if line}
    number = next(number for number in _SYSTEM_IDS if number not in used)
    for file, entry in (
        (_GROUP, f"{NAME}:x:{number}:"),
        (_PASSWD, f"{NAME}:x:{number}:{number}:Nightferry databases:/nonexistent:{_NO_LOGIN}"),
    ):
        write_durably(file, f"{file.read_text().rstrip()}\n{entry}\n")
        file.chmod(0o644)
