"""``nightferry`` as a process of its own: with pipes, or on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("nightferry"))
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment() -> dict[str, str]:
    """A plain terminal, without the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NIGHTFERRY_", "FORCE_", "NO_"))}
    return kept | {"COLUMNS": "120", "TERM": "xterm-256color"}


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start it with pipes."""
    return subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def nightferry(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end with pipes. A traceback is a failure, whatever the test is about."""
    with start(root, *arguments) as process:
        out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def on_terminal(root: Path, *arguments: str) -> tuple[int, str]:
    """Run it on a pseudo-terminal; its exit code and all that was drawn, without the control sequences."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *arguments], cwd=root, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not chunk:
                break
            drawn += chunk
        os.close(ours)
        code = process.wait(timeout=60)
    return code, _CONTROLS.sub("", drawn.decode(errors="replace"))
