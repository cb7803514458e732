"""Log lines as people read them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from nightferry.contract import LogEvent

_STYLES = {"DEBUG": "dim", "INFO": "", "WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}
# Said by the line's form, or of interest to machines only.
_HIDDEN = frozenset(
    "time level message task run_id execution logger event step done total unit ended environment".split()  # noqa: SIM905
)


def parsed(text: str) -> dict[str, Any] | None:
    """The fields of a line that our job runtime wrote; None for any other line."""
    if not text.startswith("{"):
        return None
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "message" in fields else None


def pretty(text: str, time: datetime, *, task: str = "") -> Text:
    """One line: time, level unless it is INFO, task where several are mixed, message, further fields."""
    fields = parsed(text)
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
        if name not in _HIDDEN and value is not None:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            separator = "\n" if "\n" in shown else " "
            line.append(f"{separator}{name}=", style="dim").append(shown)
    return line


def unchanged(console: Console, text: str) -> None:
    """Print a line as it is. In a pipe, byte for byte: a console would turn tabs into spaces."""
    if console.is_terminal:
        console.out(text, highlight=False)
    else:
        console.file.write(f"{text}\n")
        console.file.flush()


def is_progress(fields: dict[str, Any] | None) -> bool:
    """Whether the line tells how far a step is, which a bar shows better."""
    return fields is not None and fields.get("event") == LogEvent.PROGRESS


def duration(seconds: float) -> str:
    """A duration as people say it: 0.4 s, 12 s, 3 min 5 s, 2 h 4 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
