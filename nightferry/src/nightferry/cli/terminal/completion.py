"""Shell completion. Outside a project, it offers nothing and prints no error."""

from __future__ import annotations

from collections.abc import Iterable

from nightferry.environments.environment import FOLDER
from nightferry.environments.project import Project
from nightferry.errors import NightferryError


def complete_environment(incomplete: str) -> Iterable[str]:
    """Return the environments whose names start with ``incomplete``."""
    try:
        files = sorted((Project.find().root / FOLDER).glob("*.toml"))
    except NightferryError:
        return []
    return [file.stem for file in files if file.stem.startswith(incomplete)]


def complete_task(incomplete: str) -> Iterable[str]:
    """Return the declared tasks whose names start with ``incomplete``."""
    try:
        return [name for name in sorted(Project.find().catalog.tasks) if name.startswith(incomplete)]
    except NightferryError:
        return []
