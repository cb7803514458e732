"""Draw what a terminal shows as an SVG: a Console of rich that records, and its export without fonts of a server."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "nightferry"))
from tests.cli.terminal import read_to_end
from tests.pages.page import render


def new_console(width: int) -> Console:
    """Return a console that records."""
    return Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")


def export(console: Console, title: str, name: str) -> str:
    """Return the SVG of what the console has recorded. The name makes its identifiers unique in a page."""
    fonts = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)  # a picture loads no fonts
    fonts = fonts.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace")
    svg = console.export_svg(title=title, code_format=fonts, unique_id=name)
    return re.sub(r"[ \t]+$", "", svg.replace("<svg ", '<svg role="img" ', 1), flags=re.MULTILINE)


def run_on_terminal(command: list[str], width: int, folder: Path, variables: Mapping[str, str]) -> list[str]:
    """Run a command on a terminal, and return the lines that remain, with their colors."""
    controller, terminal = pty.openpty()
    environment = {**variables, "COLUMNS": str(width), "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        drawn = read_to_end(controller)
        if process.wait() != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{drawn.decode(errors='replace')}")
    lines: list[str] = render(drawn.decode(errors="replace"))
    return lines
