"""From when this machine's engine counts rates: a rate says how often, not when."""

from __future__ import annotations

from datetime import datetime

from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.local.store import Store


def counted_from(project: Project, environment: Environment) -> dict[str, datetime]:
    """When the engine saw each schedule first, by name; of schedules that no engine here has seen, nothing."""
    file = project.state / "engine.sqlite"
    if environment.backend != "local" or not file.exists():
        return {}
    store = Store(file)
    try:
        return {name: record.first_seen for name, record in store.schedules().items()}
    finally:
        store.close()
