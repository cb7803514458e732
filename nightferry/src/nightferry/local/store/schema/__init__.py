"""The store's tables, as numbered steps: ``NNN_what.sql`` in this folder.

A new store takes all steps; an older one takes those that it lacks, when it is opened, in one transaction. A step that
has been released is never changed: what is to be different comes as a further step.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from importlib import resources
from pathlib import Path

from nightferry.errors import NightferryError


class StoreTooNew(NightferryError):
    """A newer version of Nightferry has written the store. Use that version, or another state directory."""


@cache
def steps() -> tuple[str, ...]:
    """The steps' SQL, the first of them step 1."""
    files = sorted(
        (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    numbers = [int(file.name[:3]) for file in files]
    assert numbers == list(range(1, len(files) + 1)), f"steps are numbered without gap and once each: {numbers}"
    return tuple(file.read_text(encoding="utf-8") for file in files)


def upgrade(db: sqlite3.Connection, file: Path) -> None:
    """Bring the store up to date, within the caller's transaction; raises StoreTooNew."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(steps()):
        raise StoreTooNew(
            f"{file} was written by a newer version of Nightferry (store {version}; this one knows {len(steps())}). "
            "Use that version, or another state directory (NIGHTFERRY_STATE)."
        )
    for step in steps()[version:]:
        for statement in step.split(";\n"):
            if statement.strip():
                db.execute(statement)
    if version < len(steps()):
        db.execute(f"PRAGMA user_version = {len(steps())}")
