"""The state directory of a project on this machine: databases, logs, secrets and the files of local buckets.

Its file ``id`` is its identity: a random token, by which it owns the databases on this machine, and the path and inode
number that the directory had. A copy has another inode number, so it is recognized, and never owns the databases of
its original. A renamed directory keeps the number.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from nightferry.environments.private_paths import check_private_folder, open_private, read_private_text, write_durably
from nightferry.errors import NightferryError

IDENTITY_FILE = "id"
_IGNORE = "# Written by Nightferry: this folder holds local data and secrets, which must not be committed.\n*\n"
_ROOT_FILES = (".git", "pyproject.toml")


class IdentityLost(NightferryError):
    """The identity of a state directory is missing, empty or damaged, so its databases are not known."""

    def __init__(self, state: Path) -> None:
        super().__init__(
            f"{state / IDENTITY_FILE} is missing, empty or damaged, so it is not known which database belongs to this "
            "state directory. Nothing was changed. Restore the file from a backup, or list the databases (nightferry "
            "databases list) and connect this directory to its own: nightferry databases adopt FOLDER. To start with "
            "new, empty databases: nightferry databases separate"
        )


class StateCopied(NightferryError):
    """A state directory is a copy of another one, whose databases it must not use."""

    def __init__(self, state: Path, original: str, *, exists: bool) -> None:
        if exists:
            what = f"is a copy of {original}"
        elif original == os.path.realpath(state):
            what = "is not the directory that had this path, but a copy of it"
        else:
            what = f"was copied from {original}, which no longer exists there"
        adopt = "" if exists else " If it replaces that directory, use its databases: nightferry databases adopt."
        super().__init__(
            f"{state} {what}, and does not use its databases and services. Nothing was changed.{adopt} To continue "
            "with new, empty databases: nightferry databases separate"
        )


@dataclass(frozen=True)
class Identity:
    """The content of the file ``id``: the token, and the path and inode number of the directory that owns it."""

    token: str
    path: str
    inode: int


def create_state_folder(state: Path) -> Path:
    """Create the state directory, private to this user, unless it exists; return it. Git ignores all of its files.

    Everything that creates a file in the directory calls this function first. The root of a project or repository, to
    which ``NIGHTFERRY_STATE`` may point, gets no ``.gitignore`` that would hide the project itself. Raises NotPrivate
    if another account owns the directory or can write to it.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    try:
        state.mkdir(mode=0o700)
    except FileExistsError:
        check_private_folder(state, follow=True)
    else:
        create_identity(state)
    ignore = state / ".gitignore"
    if not ignore.exists() and not any((state / name).exists() for name in _ROOT_FILES):
        with open_private(ignore, "w") as file:
            file.write(_IGNORE)
    return state


def create_identity(state: Path, token: str | None = None, *, replace: bool = False) -> None:
    """Write the directory's identity with ``token``, otherwise with a new one. An existing one remains by default."""
    identity = Identity(token or secrets.token_hex(16), os.path.realpath(state), state.stat().st_ino)
    with suppress(FileExistsError):  # Another process was first.
        write_durably(state / IDENTITY_FILE, json.dumps(asdict(identity)) + "\n", replace=replace)


def read_identity(state: Path) -> Identity | None:
    """Return the identity in the directory, which may be that of another directory; None without one.

    Raises IdentityLost if it is empty or damaged, and NotPrivate.
    """
    try:
        found = json.loads(read_private_text(state / IDENTITY_FILE))
        identity = Identity(str(found["token"]), str(found["path"]), int(found["inode"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise IdentityLost(state) from None
    if not re.fullmatch("[0-9a-f]{32}", identity.token) or "\0" in identity.path:
        raise IdentityLost(state)
    return identity


def find_owner(identity: Identity) -> Path | None:
    """Return the directory at the recorded path, if it exists and has this identity."""
    path = Path(identity.path)
    with suppress(NightferryError, OSError, UnicodeEncodeError):
        found = read_identity(path)
        if found is not None and found.token == identity.token and path.stat().st_ino == found.inode:
            return path
    return None


def claim_identity(state: Path) -> str:
    """Return the token of the directory. A directory that was renamed keeps its token.

    Raises IdentityLost, and StateCopied for a copy, also on another file system.
    """
    identity = read_identity(state)
    if identity is None:
        raise IdentityLost(state)
    status, path = state.stat(), os.path.realpath(state)
    owner = None if identity.path == path else find_owner(identity)
    if status.st_ino != identity.inode or (owner is not None and not owner.samefile(state)):
        raise StateCopied(state, identity.path, exists=owner is not None)
    if identity.path != path and owner is None:
        create_identity(state, identity.token, replace=True)
    return identity.token
