"""Engines in separate processes, and the processes that remain when one is killed."""

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

TIMEOUT_SECONDS = 60.0  # generous, because the machine may be busy


def until(condition: Callable[[], bool], event: str, seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait until a condition is met; fail after a timeout."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {event}"
        time.sleep(0.02)


def start_engine(project: Project) -> subprocess.Popen[bytes]:
    """Start an engine that ends when nothing is open, with its output in the project's file ``engine.out``."""
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
    """Run an engine until it ends."""
    engine = start_engine(project)
    engine.wait(timeout=2 * TIMEOUT_SECONDS)
    assert engine.returncode == 0, (project.root / "engine.out").read_text()


def left_behind(state: Path) -> list[str]:
    """Return the processes whose current folder is the state directory: tasks and their descendants."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(state):
                found.append(f"{process.pid} {process.cmdline()}")
        except psutil.Error:
            continue
    return found
