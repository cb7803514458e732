"""An engine in the background, for work that nobody waits for at a terminal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from nightferry.contract import STATE_VARIABLE
from nightferry.environments.project import Project
from nightferry.local.engine import engine


def ensure_engine(project: Project, environment: str) -> None:
    """See that some engine works on what is open: the running one, else a new one that ends when all is done."""
    if engine.is_running(project.state):
        return
    log = project.state / "engine.log"
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "nightferry.local.background", environment],
            cwd=project.root,
            env={**os.environ, STATE_VARIABLE: str(project.state)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def main() -> None:
    """Work until nothing is open."""
    from nightferry.local.backend import LocalBackend

    project = Project.find()
    backend = LocalBackend(project, project.environment(sys.argv[1]))
    asyncio.run(backend.work(lambda: not backend.store.open_runs() and not backend.store.open_executions()))


if __name__ == "__main__":
    main()
