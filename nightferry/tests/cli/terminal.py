"""Run ``nightferry`` in this process, in a separate process with pipes, or on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nightferry.cli.app import main
from nightferry.testing import forked

PROGRAM = str(Path(sys.executable).with_name("nightferry"))
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment() -> dict[str, str]:
    """Return the environment of a plain terminal, without the developer's own settings, and without a cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NIGHTFERRY_", "FORCE_", "NO_"))}
    return kept | {"COLUMNS": "120", "TERM": "xterm-256color", "XDG_CACHE_HOME": os.devnull}


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start ``nightferry`` with pipes."""
    return forked.Popen(
        [PROGRAM, *arguments],
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def nightferry(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``nightferry`` in this process until it ends. Assert that it prints no traceback."""
    return in_process(main, root, environment(), *arguments)


def nightferry_process(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``nightferry`` in a separate process with pipes until it ends."""
    with start(root, *arguments) as process:
        out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def in_process(
    main: Callable[[], None], root: Path, variables: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a console script's ``main`` in this process, in the folder ``root``, with only these variables."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before = set(sys.modules)
    code = 0
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(root):
        for name in set(os.environ) - set(variables):
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["nightferry", *arguments])
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    for name in set(sys.modules) - before:  # so that a changed project is imported again
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(root)):
            del sys.modules[name]
    found = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    assert "Traceback" not in found[1], found[1]
    return subprocess.CompletedProcess(arguments, code, *found)


def on_terminal(root: Path, *arguments: str) -> tuple[int, str]:
    """Run ``nightferry`` on a pseudo-terminal. Return its exit code and its output without control sequences."""
    controller, terminal = pty.openpty()
    with forked.Popen(
        [PROGRAM, *arguments], cwd=root, env=environment(), stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        drawn = read_to_end(controller)
        code = process.wait(timeout=60)
    return code, _CONTROLS.sub("", drawn.decode(errors="replace"))


def read_to_end(controller: int) -> bytes:
    """Return what is drawn on a pseudo-terminal until all programs have closed it, and close it."""
    drawn = b""
    while True:
        try:
            chunk = os.read(controller, 65536)
        except OSError:  # on Linux, a closed pseudo-terminal raises EIO
            break
        if not chunk:
            break
        drawn += chunk
    os.close(controller)
    return drawn
