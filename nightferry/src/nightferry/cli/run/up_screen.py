"""What ``nightferry up`` shows on a terminal: what it says, and below that what runs and what fires next."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nightferry.cli.terminal.lines import duration
from nightferry.local.up import RunningEngine

_ROWS = 8
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "bold red", logging.CRITICAL: "bold red"}


class Screen:
    """A live picture of the engine at the bottom of a terminal. ``handler`` prints above it what the engine says."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            Text("Services are starting …", style="dim"), console=console, auto_refresh=False, transient=True
        )
        self.handler: logging.Handler = _Handler(console)

    def __enter__(self) -> Self:
        self._live.__enter__()
        self._live.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, up: RunningEngine) -> None:
        """Draw the engine as it is now."""
        self._live.update(picture(up, datetime.now(UTC)), refresh=True)


def picture(up: RunningEngine, now: datetime) -> RenderableType:
    """The address, what runs, how much waits, what fires next."""
    running = up.store.begun_runs()
    waiting = sum(up.store.queue_depths().values())
    executions = sum(up.store.open_counts().values())
    state = "[yellow]stopping[/]" if up.draining else "[green]at work[/]"
    head = Text.from_markup(
        f"[bold]nightferry[/] {state} · {up.environment.name} · {up.address}/health · {len(running)} running · "
        f"{waiting} waiting · {executions} open executions"
    )
    parts: list[RenderableType] = [Text(""), head]
    if running:
        table = Table("Runs", "Task", "For", "Started by", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for record in running[:_ROWS]:
            since = now - (record.run.started_at or record.run.created_at)
            by = record.run.execution or record.run.started_by
            table.add_row(record.run.id[:12], record.run.task, duration(max(0.0, since.total_seconds())), by)
        if len(running) > _ROWS:
            table.add_row("", f"and {len(running) - _ROWS} more", "", "")
        parts.append(table)
    fires = up.scheduler.next_fires()[:_ROWS]
    if fires and not up.draining:
        table = Table("Next", "At", "In", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for time, name in fires:
            table.add_row(name, f"{time.astimezone():%a %Y-%m-%d %H:%M:%S}", _until(time - now))
        parts.append(table)
    hint = "Once more (Ctrl-C) kills what runs." if up.draining else "Ctrl-C stops when what runs has ended."
    parts.append(Text(hint, style="dim"))
    return Group(*parts)


def _until(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02} min"
    if seconds < 86400:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02} h"
    return f"{seconds // 86400} days"


class _Handler(logging.Handler):
    """Lines for people: the time, and the message in the colour of its level."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line above the picture."""
        time = datetime.fromtimestamp(record.created).astimezone()
        text = Text.assemble((f"{time:%H:%M:%S} ", "dim"), (record.getMessage(), _STYLES.get(record.levelno, "")))
        self._console.print(text, highlight=False, soft_wrap=True)
