"""The terminal display of ``nightferry up``: log messages, and below them running tasks and next fires."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nightferry.local.up import RunningEngine
from nightferry.presentation.durations import format_duration
from nightferry.printable import indent_continuation, make_one_line, make_printable

_MAX_ROWS = 8
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "bold red", logging.CRITICAL: "bold red"}


class Screen:
    """A live display of the engine at the bottom of a terminal. ``handler`` prints log messages above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(Text("Starting services …", style="dim"), console=console, auto_refresh=False, transient=True)
        self.handler: logging.Handler = _Handler(console)

    def __enter__(self) -> Self:
        self._live.__enter__()
        self._live.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show_login(self, url: str) -> None:
        """Print the address of the dashboard with its login code above the display."""
        self._console.print(f"Dashboard, log in within one minute: {url}", highlight=False, soft_wrap=True)
        self._console.print("For another login code: nightferry dashboard", style="dim", highlight=False)

    def show(self, up: RunningEngine) -> None:
        """Draw the current state of the engine."""
        self._live.update(render(up, datetime.now(UTC)), refresh=True)


def render(up: RunningEngine, now: datetime) -> RenderableType:
    """Return the display: address, running tasks, number of waiting runs, and next fires."""
    running = up.store.begun_runs()
    waiting = sum(up.store.queue_depths().values())
    executions = sum(up.store.open_counts().values())
    state = "[yellow]stopping[/]" if up.draining else "[green]running[/]"
    head = Text.from_markup(
        f"[bold]nightferry[/] {state} · {up.environment.name} · {up.address}/health · {len(running)} running · "
        f"{waiting} waiting · {executions} open executions"
    )
    parts: list[RenderableType] = [Text(""), head]
    if running:
        table = Table("Runs", "Task", "For", "Started by", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for record in running[:_MAX_ROWS]:
            since = now - (record.run.started_at or record.run.created_at)
            by = Text(make_one_line(record.run.execution or record.run.started_by))
            took = format_duration(max(0.0, since.total_seconds()))
            table.add_row(record.run.id[:12], record.run.task, took, by)
        if len(running) > _MAX_ROWS:
            table.add_row("", f"and {len(running) - _MAX_ROWS} more", "", "")
        parts.append(table)
    fires = up.scheduler.next_fires()[:_MAX_ROWS]
    if fires and not up.draining:
        table = Table("Next", "At", "In", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for time, name in fires:
            table.add_row(name, f"{time.astimezone():%a %Y-%m-%d %H:%M:%S}", _format_wait(time - now))
        parts.append(table)
    hint = "Press Ctrl-C again to kill running tasks." if up.draining else "Ctrl-C stops after running tasks finish."
    parts.append(Text(hint, style="dim"))
    return Group(*parts)


def _format_wait(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02} min"
    if seconds < 86400:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02} h"
    return f"{seconds // 86400} days"


class _Handler(logging.Handler):
    """Prints log messages with their time, in the color of their level."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message above the display."""
        time = datetime.fromtimestamp(record.created).astimezone()
        text = Text.assemble(
            (f"{time:%H:%M:%S} ", "dim"),
            (indent_continuation(make_printable(record.getMessage())), _STYLES.get(record.levelno, "")),
        )
        self._console.print(text, highlight=False, soft_wrap=True)
