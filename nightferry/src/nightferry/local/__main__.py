"""Run the engine until nothing is open: the process that ``nightferry.local.engine.background`` starts."""

from __future__ import annotations

import asyncio
import sys

from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend


def main() -> None:
    """Run the engine of the project in the current folder; the argument is the environment."""
    project = Project.find()
    backend = LocalBackend(project, project.environment(sys.argv[1]))
    asyncio.run(backend.work(lambda: not backend.store.open_runs() and not backend.store.open_executions()))


if __name__ == "__main__":
    main()
