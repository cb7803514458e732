"""The times from which the engine counts rates. A rate expression has an interval but no start time."""

from __future__ import annotations

from datetime import datetime

from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.local.store import Store


def read_first_seen(project: Project, environment: Environment) -> dict[str, datetime]:
    """Return the time at which this machine's engine first loaded each schedule, by name."""
    file = project.state / "engine.sqlite"
    if environment.backend != "local" or not file.exists():
        return {}
    store = Store(file)
    try:
        return {name: record.first_seen for name, record in store.schedules().items()}
    finally:
        store.close()
