"""``paidleave-demo`` as a process, and its first run, which all tests and workers of a test session share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from nightferry.testing import forked
from tests.etl.world import ROOT, World

PROGRAM = Path(sys.executable).with_name("paidleave-demo")
EMPLOYERS = 20


def start(state: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Start the demo on a state directory."""
    return forked.Popen(
        [PROGRAM, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NIGHTFERRY_STATE": str(state), "COLUMNS": "100", **environment},
    )


def demo(state: Path, *options: str, **environment: str) -> tuple[int, str, str]:
    """Run the demo; return its exit code, standard output and standard error."""
    with start(state, *options, **environment) as process:
        out, err = process.communicate()
    return process.returncode, out, err


def demo_until(words: str, state: Path, *options: str) -> tuple[int, str, str]:
    """Run the demo and interrupt it after a line that contains ``words``; return its output up to this line."""
    with start(state, *options) as process:
        assert process.stdout is not None
        out = ""
        for line in process.stdout:
            out += line
            if words in line:
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    return process.returncode, out, err


def list_running(state: Path) -> list[str]:
    """Return the names of the running processes of a state directory, including its database."""
    found = ["PostgreSQL"] if World(state).postgres.is_running() else []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(state)):
                found.append(process.name())
        except psutil.Error:
            continue
    return found


@dataclass(frozen=True)
class FirstDemoRun:
    """The results of a first demo run that was interrupted and resumed; ``folder`` contains a copy of its world."""

    folder: Path
    interrupted: tuple[int, str, str]
    resumed: tuple[int, str, str]
    left_running: list[str]

    @classmethod
    def make_once(cls, folder: Path) -> FirstDemoRun:
        """Return the first demo run in ``folder``; execute it unless an earlier call has done so."""
        ended = folder / "ended.json"
        if ended.exists():
            return cls(folder, **json.loads(ended.read_text()))
        world = World(folder / "a state")
        interrupted = demo_until("fineos-import-employee-updates: started", world.state, f"--employers={EMPLOYERS}")
        resumed = demo(world.state, f"--employers={EMPLOYERS}", "--bad-share=0.04")
        run = cls(folder, interrupted, resumed, list_running(world.state))
        world.keep(folder / "kept")
        ended.write_text(json.dumps({name: value for name, value in asdict(run).items() if name != "folder"}))
        return run

    def world(self, state: Path) -> World:
        """Return a copy of the world after this run, with ``state`` as its directory."""
        return World.restore(self.folder / "kept", state)
