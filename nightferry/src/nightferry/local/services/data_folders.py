"""The folders of the databases on this machine, and which state directory owns each.

A database's folder is outside the state directory, because another account runs the server if the engine runs as root.
For root, the folders are in ``/var/lib/nightferry``; otherwise in ``nightferry`` in the user's state folder. Their
names are ``SERVICE-TOKEN``, and the file ``owner.json`` in each has the whole token of the state directory and its
path. A folder is used only if the token matches, and removed only by :func:`remove`.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from nightferry.environments.private_paths import (
    create_private_folder,
    read_private_text,
    sync_folder,
    write_durably,
)
from nightferry.environments.state_folder import (
    IdentityLost,
    claim_identity,
    create_identity,
    create_state_folder,
    find_owner,
    read_identity,
)
from nightferry.errors import NightferryError

ROOT_FOLDER = Path("/var/lib/nightferry")
_OWNER_FILE = "owner.json"
_TOKEN_CHARACTERS = 12  # of the token in a folder's name


class ForeignDatabase(NightferryError):
    """A database's folder belongs to another state directory, or its owner is not known."""


@dataclass(frozen=True)
class Owner:
    """The content of ``owner.json``: a service of the state directory with ``token``, which last was at ``state``."""

    service: str
    token: str
    state: str


@dataclass(frozen=True)
class DataFolder:
    """A database's folder, and its owner if it is known."""

    folder: Path
    owner: Owner | None

    @property
    def state(self) -> Path | None:
        """Return the state directory that owns the folder, or None if it no longer exists at its path."""
        if self.owner is None:
            return None
        try:
            found = read_identity(Path(self.owner.state))
        except (NightferryError, OSError):
            return Path(self.owner.state)  # It cannot be excluded that it is the owner.
        return Path(self.owner.state) if found is not None and found.token == self.owner.token else None


def get_base_folder() -> Path:
    """Return the folder that contains the folders of all databases of this account; raises NightferryError."""
    if os.geteuid() == 0:
        return ROOT_FOLDER
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():
        return given / "nightferry"
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise NightferryError(
            f"The account with the ID {os.geteuid()} has no home folder for its databases. Set HOME or XDG_STATE_HOME."
        ) from None
    return Path(home).absolute() / ".local" / "state" / "nightferry"


def create_base_folder() -> Path:
    """Create that folder if necessary. The account of the servers of root must pass through it."""
    base = get_base_folder()
    create_private_folder(base, mode=0o711 if os.geteuid() == 0 else 0o700)
    return base


def claim_state(state: Path) -> str:
    """Return the token of a state directory, which then owns its databases and services.

    Raises IdentityLost, StateCopied.
    """
    create_state_folder(state)
    if read_identity(state) is None:
        path = os.path.realpath(state)
        if any(found.owner is not None and found.owner.state == path for found in list_folders()):
            raise IdentityLost(state)
        create_identity(state)
    return claim_identity(state)


def find_folder(service: str, state: Path) -> Path:
    """Return the folder of the database ``service`` of a state directory; create it if it does not exist.

    Raises IdentityLost, StateCopied and ForeignDatabase.
    """
    owner = Owner(service, claim_state(state), os.path.realpath(state))
    base = create_base_folder()
    folder = base / f"{service}-{owner.token[:_TOKEN_CHARACTERS]}"
    if not os.path.lexists(folder):
        _create(folder, owner)
    found = _read_owner(folder)
    if found is None or (found.service, found.token) != (owner.service, owner.token):
        raise ForeignDatabase(
            f"{folder} is not the database of {state}: the token in its {_OWNER_FILE} does not match. Nothing was "
            "changed. Move the folder away, or start with new databases: nightferry databases separate"
        )
    if found != owner:  # The state directory was renamed.
        write_durably(folder / _OWNER_FILE, json.dumps(asdict(owner)) + "\n")
    return folder


def list_folders() -> list[DataFolder]:
    """Return the folders of all databases of this account, with their owners."""
    base = get_base_folder()
    if not base.is_dir():
        return []
    create_private_folder(base)
    return [DataFolder(folder, _read_owner(folder)) for folder in sorted(base.iterdir()) if _is_database(folder)]


def remove(found: DataFolder) -> None:
    """Delete a folder whose server is stopped. Links in it are not followed."""
    (found.folder / _OWNER_FILE).unlink(missing_ok=True)
    shutil.rmtree(found.folder)


def adopt(state: Path, found: DataFolder | None) -> None:
    """Connect a state directory to the databases of ``found``, or to those of the directory that it was copied from.

    Raises ForeignDatabase if their owner exists.
    """
    create_state_folder(state)
    if found is not None and found.owner is None:
        raise ForeignDatabase(f"{found.folder} has no {_OWNER_FILE}, so its owner is not known. Nothing was changed.")
    token = found.owner.token if found is not None and found.owner is not None else _read_own_token(state)
    for owner in _find_owners(state, token):
        if os.path.realpath(owner) != os.path.realpath(state):
            raise ForeignDatabase(
                f"The database belongs to {owner}, which exists. Nothing was changed. Remove or move that directory "
                "first, or start with new databases: nightferry databases separate"
            )
    create_identity(state, token, replace=True)


def separate(state: Path) -> None:
    """Give a state directory a new identity, and forget the ports and owners of its services."""
    create_state_folder(state)
    for file in (*(state / "services").glob("*.port"), *(state / "services").glob("*.json")):
        file.unlink(missing_ok=True)
    create_identity(state, replace=True)


def _read_own_token(state: Path) -> str:
    identity = read_identity(state)
    if identity is None:
        raise IdentityLost(state)
    return identity.token


def _find_owners(state: Path, token: str) -> Iterator[Path]:
    """Yield the directories that exist and have ``token``, at the paths that are recorded."""
    try:
        own = read_identity(state)
    except IdentityLost:
        own = None
    if own is not None and own.token == token and (owner := find_owner(own)) is not None:
        yield owner
    for other in list_folders():
        if other.owner is not None and other.owner.token == token and other.state is not None:
            yield other.state


def _create(folder: Path, owner: Owner) -> None:
    """Create the folder with its owner at once, so that a killed command leaves none without owner."""
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    temporary.chmod(0o711 if os.geteuid() == 0 else 0o700)
    write_durably(temporary / _OWNER_FILE, json.dumps(asdict(owner)) + "\n")
    try:
        temporary.rename(folder)
    except OSError:  # Another process was first.
        shutil.rmtree(temporary)
    sync_folder(folder.parent)


def _read_owner(folder: Path) -> Owner | None:
    try:
        found = json.loads(read_private_text(folder / _OWNER_FILE))
        return Owner(str(found["service"]), str(found["token"]), str(found["state"]))
    except (NightferryError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_database(folder: Path) -> bool:
    if folder.name.startswith(".") or not folder.is_dir() or folder.is_symlink():
        return False
    # A copy of the programs has no owner; a service may have the name of one.
    return not folder.name.startswith("postgresql-") or (folder / _OWNER_FILE).exists()
