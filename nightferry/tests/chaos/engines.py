"""Engines as processes of their own, and what is left when one is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil

from nightferry.environments.project import Project
from nightferry.testing import forked

PATIENCE = 60.0  # seconds; the machine may be busy


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        time.sleep(0.02)


def start_engine(project: Project) -> subprocess.Popen[bytes]:
    """An engine that ends when nothing is open any more; what it says goes to ``engine.out`` in the project."""
    with (project.root / "engine.out").open("ab") as output:
        return _start(project, output)


def _start(project: Project, output: IO[bytes]) -> subprocess.Popen[bytes]:
    return forked.Popen(
        [sys.executable, "-m", "nightferry.local", "local"],
        cwd=project.root,
        env={**os.environ, "NIGHTFERRY_STATE": str(project.state)},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )


def finish(project: Project) -> None:
    """Run an engine to its end."""
    engine = start_engine(project)
    engine.wait(timeout=2 * PATIENCE)
    assert engine.returncode == 0, (project.root / "engine.out").read_text()


def left_behind(state: Path) -> list[str]:
    """The processes that work in the state directory: tasks, and whatever they have started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(state):
                found.append(f"{process.pid} {process.cmdline()}")
        except psutil.Error:
            continue
    return found
