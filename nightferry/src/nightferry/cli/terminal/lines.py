"""Format log lines for people."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from nightferry.backend.log_lines import parse_line
from nightferry.contract import LogEvent

_STYLES = {"DEBUG": "dim", "INFO": "", "WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}
# These fields are part of the line's format, or are only for machines.
_HIDDEN_FIELDS = frozenset(
    "time level message task run_id execution logger event step done total unit ended environment".split()  # noqa: SIM905
)


def format_line(text: str, time: datetime, *, task: str = "") -> Text:
    """Return a line with its time, the level unless it is INFO, ``task`` if set, the message, and other fields."""
    fields = parse_line(text)
    line = Text()
    line.append(f"{time.astimezone():%H:%M:%S} ", style="dim")
    if task:
        line.append(f"{task} ", style="cyan")
    if fields is None:
        return line.append(text)
    level = str(fields.get("level", "INFO"))
    style = _STYLES.get(level, "")
    if level != "INFO":
        line.append(f"{level} ", style=style)
    line.append(str(fields["message"]), style=style)
    for name, value in fields.items():
        if name not in _HIDDEN_FIELDS and value is not None:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            separator = "\n" if "\n" in shown else " "
            line.append(f"{separator}{name}=", style="dim").append(shown)
    return line


def print_unchanged(console: Console, text: str) -> None:
    """Print a line unchanged. In a pipe, bypass the console, which would replace tabs with spaces."""
    if console.is_terminal:
        console.out(text, highlight=False)
    else:
        console.file.write(f"{text}\n")
        console.file.flush()


def is_progress(fields: dict[str, Any] | None) -> bool:
    """Return True if the line reports the progress of a step. A progress bar shows it instead."""
    return fields is not None and fields.get("event") == LogEvent.PROGRESS


def format_duration(seconds: float) -> str:
    """Return a duration as text: 0.4 s, 12 s, 3 min 5 s, 2 h 4 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
