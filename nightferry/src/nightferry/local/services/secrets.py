"""Local secrets: one private file each, in the folder ``secrets`` of the state directory.

A secret's file has the secret's name, with ``__`` in place of slashes. The value is only passed to the environment of
the tasks that declare it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret
from nightferry.catalog.secret_users import format_set_command
from nightferry.environments.private_paths import create_private_folder, read_private_text, write_durably
from nightferry.environments.state_folder import create_state_folder
from nightferry.errors import NightferryError

MIN_HIDDEN_LENGTH = 6  # characters; masking shorter secrets would mask ordinary words
_PLACEHOLDER = b"[secret]"


class MissingSecret(NightferryError):
    """A task requires a secret that is not available on this machine. The message has the command that stores it."""


def get_path(state: Path, name: str) -> Path:
    """Return the file of a secret's value."""
    return state / "secrets" / name.strip("/").replace("/", "__")


def write(state: Path, name: str, value: str) -> None:
    """Store a secret in a file that only this user can read."""
    path = get_path(state, name)
    create_state_folder(state)
    create_private_folder(path.parent)
    write_durably(path, value)


def exists(state: Path, name: str) -> bool:
    """Return True if this machine has the secret."""
    return get_path(state, name).is_file()


def check_available(state: Path, catalog: Catalog, tasks: Iterable[str]) -> None:
    """Check that this machine has the secrets that tasks require. Raises :class:`MissingSecret`."""
    for name in tasks:
        if (task := catalog.tasks.get(name)) is not None:
            read_values(state, {**catalog.secrets, **task.secrets}, f"Task '{name}'")


def read_values(state: Path, secrets: Mapping[str, Secret], user: str) -> dict[str, str]:
    """Return the values of ``secrets`` by variable. ``user`` names the task or service that requires them.

    Raises :class:`MissingSecret` if a secret that is not optional is missing, and
    :class:`~nightferry.environments.private_paths.NotPrivate` if another account could read or change one.
    """
    found = {}
    for variable, secret in secrets.items():
        path = get_path(state, secret.name)
        try:
            # Editors and `echo` end a file with a line end, which is not a part of the secret.
            found[variable] = read_private_text(path, secret=True, follow=True).strip("\r\n")
        except UnicodeDecodeError:
            raise MissingSecret(
                f"{user} requires the secret '{secret.name}' ({variable}), but {path} is not UTF-8 text."
            ) from None
        except FileNotFoundError:
            if not secret.optional:
                raise MissingSecret(
                    f"{user} requires the secret '{secret.name}' ({variable}), which this machine does not have. "
                    f"Store it: {format_set_command(secret.name)}"
                ) from None
    return found


class Mask:
    """A filter that masks the values of secrets in a task's output, in case the task itself does not.

    A value of several lines, such as a key, is masked line by line. Values shorter than ``MIN_HIDDEN_LENGTH`` are not
    masked.
    """

    def __init__(self, values: Iterable[str]) -> None:
        parts = {line.strip() for value in values for line in value.splitlines()}
        self._parts = [part.encode() for part in sorted(parts, key=len, reverse=True) if len(part) >= MIN_HIDDEN_LENGTH]

    def __call__(self, text: bytes) -> bytes:
        """Return ``text``, which may have several lines, with the secrets masked."""
        for part in self._parts:
            if part in text:
                text = text.replace(part, _PLACEHOLDER)
        return text
