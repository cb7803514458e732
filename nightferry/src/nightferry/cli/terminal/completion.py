"""Shell completion. Outside a project, it offers nothing and prints no error."""

from __future__ import annotations

import json
from collections.abc import Iterable

from nightferry.cli.terminal.catalog_cache import NAMES, Entry, Recording
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
    return _complete(incomplete, "tasks")


def complete_workflow(incomplete: str) -> Iterable[str]:
    """Return the declared workflows whose names start with ``incomplete``."""
    return _complete(incomplete, "workflows")


def complete_schedule(incomplete: str) -> Iterable[str]:
    """Return the declared schedules whose names start with ``incomplete``."""
    return _complete(incomplete, "schedules")


def complete_topic(incomplete: str) -> Iterable[str]:
    """Return the declared topics whose names start with ``incomplete``."""
    return _complete(incomplete, "topics")


def _complete(incomplete: str, kind: str) -> list[str]:
    try:
        return [name for name in _list_names()[kind] if name.startswith(incomplete)]
    except NightferryError:
        return []


def _list_names() -> dict[str, list[str]]:
    """Return the sorted names of each kind of declaration, from the cache if the catalog has not changed."""
    recording = Recording.current
    if recording is None and (kept := Entry(NAMES).read()) is not None:
        found: dict[str, list[str]] = json.loads(kept)
        return found
    catalog = Project.find().catalog
    names = {
        "tasks": sorted(catalog.tasks),
        "workflows": sorted(catalog.workflows),
        "schedules": sorted(catalog.schedules),
        "topics": sorted(catalog.topics),
    }
    if recording is not None:
        recording.keep(json.dumps(names), NAMES)
    return names
