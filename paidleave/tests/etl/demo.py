"""``paidleave-demo`` as a process, and its first night, which all tests and workers of a run share."""

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
    """Run the demo and interrupt it after a line with ``words``; its output ends there."""
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


def left_running(state: Path) -> list[str]:
    """Return what still runs of a state directory: its database, processes in its folders."""
    found = ["PostgreSQL"] if World(state).postgres.is_running() else []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(state)):
                found.append(process.name())
        except psutil.Error:
            continue
    return found


@dataclass(frozen=True)
class FirstNight:
    """How a first night ended that was interrupted and resumed; its world is kept in ``folder``."""

    folder: Path
    interrupted: tuple[int, str, str]
    resumed: tuple[int, str, str]
    left_running: list[str]

    @classmethod
    def made_once(cls, folder: Path) -> FirstNight:
        """Return the first night of ``folder``; make it there unless an earlier call has."""
        ended = folder / "ended.json"
        if ended.exists():
            return cls(folder, **json.loads(ended.read_text()))
        world = World(folder / "a state")
        interrupted = demo_until("fineos-import-employee-updates: started", world.state, f"--employers={EMPLOYERS}")
        resumed = demo(world.state, f"--employers={EMPLOYERS}", "--bad-share=0.04")
        night = cls(folder, interrupted, resumed, left_running(world.state))
        world.keep(folder / "kept")
        ended.write_text(json.dumps({name: value for name, value in asdict(night).items() if name != "folder"}))
        return night

    def world(self, state: Path) -> World:
        """Return a world on the evening after this night, with ``state`` as its directory."""
        return World.restored(self.folder / "kept", state)
