"""Paths and commands that users can enter in the current folder."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def format_path(path: Path) -> str:
    """Return ``path`` relative to the current folder if it is inside it, else absolute."""
    folder = Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def find_nightferry_command() -> str:
    """Return the command ``nightferry`` of this virtual environment, or its path if it is not in PATH."""
    program = Path(sys.executable).parent.resolve() / "nightferry"
    found = shutil.which("nightferry")
    if found is not None and Path(found).resolve() == program.resolve():
        return "nightferry"
    path = format_path(program)
    return shlex.quote(path if "/" in path else f"./{path}")
