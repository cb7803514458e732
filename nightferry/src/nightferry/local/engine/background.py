"""Start of an engine in the background, for work that no terminal watches."""

from __future__ import annotations

import os
import subprocess
import sys

from nightferry.contract import STATE_VARIABLE
from nightferry.environments.private_paths import open_private
from nightferry.environments.project import Project
from nightferry.local.engine import engine_lock

_started: list[subprocess.Popen[bytes]] = []
"""The engines that this process has started. A dashboard starts many, and waits for each after its end."""


def ensure_engine(project: Project, environment: str) -> None:
    """Start an engine that ends when nothing is open, unless one is running. See ``nightferry.local.__main__``."""
    _started[:] = [process for process in _started if process.poll() is None]
    if engine_lock.is_running(project.state):
        return
    with open_private(project.state / "engine.log", "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "nightferry.local", environment],
            cwd=project.root,
            env={**os.environ, STATE_VARIABLE: str(project.state)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _started.append(process)
