"""Paths and commands as the person at the terminal can type them, from the folder where they are."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def shown(path: Path) -> str:
    """Return ``path`` relative to the current folder if it is below, else absolute."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def nightferry() -> str:
    """Return the command ``nightferry`` of this virtual environment: its path where PATH does not have it."""
    program = Path(sys.executable).parent.resolve() / "nightferry"
    found = shutil.which("nightferry")
    if found is not None and Path(found).resolve() == program.resolve():
        return "nightferry"
    path = shown(program)
    return shlex.quote(path if "/" in path else f"./{path}")
