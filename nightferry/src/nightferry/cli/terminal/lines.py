"""Format log lines for people."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from rich.text import Text

from nightferry.backend.log_lines import parse_line
from nightferry.contract import LogEvent
from nightferry.printable import make_one_line, make_printable

_INDENT = "  "
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
        line.append(f"{make_one_line(task)} ", style="cyan")
    if fields is None:
        return line.append(make_one_line(text))
    level = str(fields.get("level", "INFO"))
    style = _STYLES.get(level, "")
    if level != "INFO":
        line.append(f"{make_one_line(level)} ", style=style)
    line.append(_format_text(str(fields["message"])), style=style)
    for name, value in fields.items():
        if name not in _HIDDEN_FIELDS and value is not None:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            separator = f"\n{_INDENT}" if "\n" in shown else " "
            line.append(f"{separator}{make_one_line(name)}=", style="dim").append(_format_text(shown))
    return line


def _format_text(text: str) -> str:
    """Return a text whose further lines are indented: each line of the output that begins with a time is real."""
    return make_printable(text).replace("\n", f"\n{_INDENT}")


def is_progress(fields: dict[str, Any] | None) -> bool:
    """Return True if the line reports the progress of a step. A progress bar shows it instead."""
    if fields is None or fields.get("event") != LogEvent.PROGRESS:
        return False
    done, total = fields.get("done"), fields.get("total")  # of any type in a line that another program wrote
    return _is_count(done) and (total is None or _is_count(total))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 10**15


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
