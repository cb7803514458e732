"""Format log lines for people."""

from __future__ import annotations

import json
from datetime import datetime

from rich.text import Text

from nightferry.backend.log_lines import HIDDEN_FIELDS, parse_line
from nightferry.printable import make_one_line, make_printable

_INDENT = "  "
_STYLES = {"DEBUG": "dim", "INFO": "", "WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}


def format_line(text: str, time: datetime, *, task: str = "") -> Text:
    """Return a line with its time, the level unless it is INFO, ``task`` if set, the message, and other fields."""
    fields = parse_line(text)
    line = Text()
    line.append(f"{time.astimezone():%H:%M:%S} ", style="dim")
    if task:
        line.append(f"{make_one_line(task)} ", style="cyan")
    if fields is None:
        return line.append(make_one_line(text))
    level = str(fields.get("level", "INFO"))
    style = _STYLES.get(level, "")
    if level != "INFO":
        line.append(f"{make_one_line(level)} ", style=style)
    line.append(_format_text(str(fields["message"])), style=style)
    for name, value in fields.items():
        if name not in HIDDEN_FIELDS and value is not None:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            separator = f"\n{_INDENT}" if "\n" in shown else " "
            line.append(f"{separator}{make_one_line(name)}=", style="dim").append(_format_text(shown))
    return line


def _format_text(text: str) -> str:
    """Return a text whose further lines are indented: each line of the output that begins with a time is real."""
    return make_printable(text).replace("\n", f"\n{_INDENT}")
