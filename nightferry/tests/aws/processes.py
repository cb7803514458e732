"""Run the commands against a fake Fargate: in this process, with pipes, or on a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

from nightferry.cli.app import main as nightferry
from nightferry.cli.run.run_ecs_task import main as run_ecs_task
from nightferry.testing import forked
from tests.cli.terminal import environment, in_process

PROGRAMS = {"nightferry": nightferry, "run-ecs-task": run_ecs_task}
TIMEOUT_SECONDS = 120.0  # long, because the machine may be busy
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def start(root: Path, variables: Mapping[str, str], program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a command with pipes."""
    kept = {name: value for name, value in environment().items() if name != "CI" and not name.startswith("AWS_")}
    return forked.Popen(
        [str(Path(sys.executable).with_name(program)), *arguments],
        cwd=root,
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(root: Path, variables: Mapping[str, str], program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process until it ends. Assert that it prints no traceback."""
    kept = {name: value for name, value in environment().items() if name != "CI" and not name.startswith("AWS_")}
    return in_process(PROGRAMS[program], root, {**kept, **variables}, *arguments)


class Terminal:
    """A command on a pseudo-terminal. ``seen`` is its whole output so far, without control sequences."""

    def __init__(self, root: Path, variables: Mapping[str, str], program: str, *arguments: str) -> None:
        self._controller, terminal = pty.openpty()
        kept = {name: value for name, value in environment().items() if name != "CI" and not name.startswith("AWS_")}
        self.process = forked.Popen(
            [str(Path(sys.executable).with_name(program)), *arguments],
            cwd=root,
            env={**kept, **variables},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl-C needs a controlling terminal
        )
        os.close(terminal)
        self._drawn = b""
        self._found = 0

    @property
    def seen(self) -> str:
        return _CONTROLS.sub("", self._drawn.decode(errors="replace"))

    def until(self, text: str) -> None:
        """Wait for ``text`` in the output after the previously awaited text."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while text not in self.seen[self._found :]:
            assert time.monotonic() < deadline, f"never seen: {text!r} in {self.seen[-500:]!r}"
            if not self._read(0.2) and self.process.poll() is not None:
                self._read(0.2)
                assert text in self.seen[self._found :], f"ended without {text!r}: {self.seen[-500:]!r}"

        self._found = self.seen.index(text, self._found) + len(text)

    def type(self, text: str) -> None:
        """Type ``text`` on the terminal."""
        os.write(self._controller, text.encode())

    def end(self) -> int:
        """Wait until the command ends, and return its exit code."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self._read(0.2) or self.process.poll() is None:
            assert time.monotonic() < deadline, f"the command does not end: {self.seen[-500:]!r}"
        os.close(self._controller)
        assert "Traceback" not in self.seen, self.seen
        return self.process.wait()

    def _read(self, seconds: float) -> bool:
        if not select.select([self._controller], [], [], seconds)[0]:
            return False
        try:
            chunk = os.read(self._controller, 65536)
        except OSError:  # on Linux, a closed pseudo-terminal raises EIO
            return False
        self._drawn += chunk
        return bool(chunk)
