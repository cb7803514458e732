"""What a shell offers after TAB. Nothing is offered, and nothing said, where there is no project."""

from __future__ import annotations

from collections.abc import Iterable


def environment_names(incomplete: str) -> Iterable[str]:
    """The environments that begin so."""
    from longshore.environment import FOLDER
    from longshore.errors import LongshoreError
    from longshore.project import Project

    try:
        files = sorted((Project.find().root / FOLDER).glob("*.toml"))
    except LongshoreError:
        return []
    return [file.stem for file in files if file.stem.startswith(incomplete)]


def task_names(incomplete: str) -> Iterable[str]:
    """The declared tasks that begin so."""
    from longshore.errors import LongshoreError
    from longshore.project import Project

    try:
        return [name for name in sorted(Project.find().catalog.tasks) if name.startswith(incomplete)]
    except LongshoreError:
        return []
