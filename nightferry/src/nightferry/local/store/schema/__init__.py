"""The store's schema as numbered steps: ``NNN_NAME.sql`` in this folder.

Opening a store applies the steps that it lacks in one transaction. A released step never changes; a change to the
schema is a new step.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from importlib import resources
from pathlib import Path

from nightferry.errors import NightferryError


class StoreTooNew(NightferryError):
    """A newer version of Nightferry wrote the store. Use that version, or another state directory."""


@cache
def read_steps() -> tuple[str, ...]:
    """Return the SQL of the steps, beginning with step 1."""
    files = sorted(
        (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    numbers = [int(file.name[:3]) for file in files]
    assert numbers == list(range(1, len(files) + 1)), f"step numbers must be unique and without gaps: {numbers}"
    return tuple(file.read_text(encoding="utf-8") for file in files)


def is_outdated(db: sqlite3.Connection) -> bool:
    """Return True if the store lacks a step. One of a newer version has others, which are no reason to fail to read."""
    return bool(db.execute("PRAGMA user_version").fetchone()[0] < len(read_steps()))


def upgrade(db: sqlite3.Connection, file: Path) -> None:
    """Upgrade the store to the latest step, in the caller's transaction; raises StoreTooNew."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(read_steps()):
        raise StoreTooNew(
            f"{file} was written by a newer version of Nightferry (store version {version}; this version supports "
            f"{len(read_steps())}). Use the newer version, or another state directory (NIGHTFERRY_STATE)."
        )
    for step in read_steps()[version:]:
        for statement in step.split(";\n"):
            if statement.strip():
                db.execute(statement)
    if version < len(read_steps()):
        db.execute(f"PRAGMA user_version = {len(read_steps())}")
