"""Secrets of this machine: one private file each, below ``secrets/`` in the engine's directory.

A secret's file is named like the secret, with ``__`` for a slash. Values go into the environment of the tasks that
declare them and nowhere else.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from nightferry.catalog.declarations import Secret
from nightferry.errors import NightferryError

MIN_HIDDEN_LENGTH = 6  # characters; hiding a shorter secret would hide ordinary words
_PLACEHOLDER = b"[secret]"


class MissingSecret(NightferryError):
    """A task declares a secret that this machine does not have; the message says how to give it one."""


def file(state: Path, name: str) -> Path:
    """Where a secret's value is kept."""
    return state / "secrets" / name.strip("/").replace("/", "__")


def write(state: Path, name: str, value: str) -> None:
    """Keep a secret, readable by this user only."""
    path = file(state, name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as target:
        target.write(value)
    temporary.replace(path)


def exists(state: Path, name: str) -> bool:
    """Whether this machine has the secret."""
    return file(state, name).is_file()


def read_values(state: Path, secrets: Mapping[str, Secret], user: str) -> dict[str, str]:
    """The values of ``secrets`` by variable; ``what`` needs them.

    Raises :class:`MissingSecret` unless a missing one is optional.
    """
    found = {}
    for variable, secret in secrets.items():
        path = file(state, secret.name)
        try:
            found[variable] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise MissingSecret(
                f"{user} needs the secret '{secret.name}' ({variable}), but {path} does not hold text in UTF-8."
            ) from None
        except FileNotFoundError:
            if not secret.optional:
                raise MissingSecret(
                    f"{user} needs the secret '{secret.name}' ({variable}), which this machine does not have. "
                    f"Write its value, and nothing else, into {shlex.quote(str(path))} (mode 600)."
                ) from None
    return found


class Mask:
    """Hides the values of secrets in what a task writes, line by line, should the task itself fail to.

    A value of several lines (a key) is hidden line by line. Values shorter than ``MIN_HIDDEN_LENGTH`` are not.
    """

    def __init__(self, values: Iterable[str]) -> None:
        parts = {line.strip() for value in values for line in value.splitlines()}
        self._parts = [part.encode() for part in sorted(parts, key=len, reverse=True) if len(part) >= MIN_HIDDEN_LENGTH]

    def __call__(self, text: bytes) -> bytes:
        """``text`` (one or many lines) without the secrets."""
        for part in self._parts:
            if part in text:
                text = text.replace(part, _PLACEHOLDER)
        return text
