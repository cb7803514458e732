"""Shell completion. Outside a project, it offers nothing and prints no error."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nightferry.catalog.catalog import Catalog
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
    return _complete(incomplete, lambda catalog: catalog.tasks)


def complete_workflow(incomplete: str) -> Iterable[str]:
    """Return the declared workflows whose names start with ``incomplete``."""
    return _complete(incomplete, lambda catalog: catalog.workflows)


def complete_schedule(incomplete: str) -> Iterable[str]:
    """Return the declared schedules whose names start with ``incomplete``."""
    return _complete(incomplete, lambda catalog: catalog.schedules)


def complete_topic(incomplete: str) -> Iterable[str]:
    """Return the declared topics whose names start with ``incomplete``."""
    return _complete(incomplete, lambda catalog: catalog.topics)


def _complete(incomplete: str, find: Callable[[Catalog], Iterable[str]]) -> list[str]:
    try:
        return [name for name in sorted(find(Project.find().catalog)) if name.startswith(incomplete)]
    except NightferryError:
        return []
