"""Following what runs, on a terminal with bars, in a pipe line by line."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from longshore.backend import Execution, LogLine, Run, StateVisit
from longshore.cli.lines import duration, is_progress, parsed, pretty, unchanged

if TYPE_CHECKING:
    from longshore.local.backend import LocalBackend

INTERVAL = 0.15  # seconds between two looks
BAR = 24  # characters


@dataclass
class Steps:
    """How far the steps of runs are, by run and step."""

    steps: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def note(self, line: LogLine, fields: dict[str, Any]) -> None:
        self.steps.setdefault(line.run, {})[str(fields.get("step"))] = fields

    def of(self, run: str) -> dict[str, Any] | None:
        """The newest step of a run."""
        steps = self.steps.get(run)
        return list(steps.values())[-1] if steps else None


async def work_and_follow(
    backend: LocalBackend, ended: Callable[[], bool], look: Callable[[], None], stop: str
) -> None:
    """Work on what is open until ``ended``, calling ``look`` all the while.

    Ctrl-C (or SIGTERM) asks ``stop``, a run or execution, to stop and waits for it; a second one ends at once.
    Other work that is open is finished, too, and the person at the terminal is told; Ctrl-C leaves that to the next
    engine.
    """
    loop = asyncio.get_running_loop()
    working = asyncio.create_task(backend.work(ended))
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts == 1 and not ended():
            backend.stop(stop, "Stopped from the terminal.")
        else:
            working.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        told = False
        while not working.done():
            look()
            if not told and ended() and (others := _open_beside(backend)):
                told = True
                sys.stderr.write(f"Still working on {others} (Ctrl-C leaves it to the next command).\n")
            await asyncio.wait({working}, timeout=INTERVAL)
        await working
        look()
    except asyncio.CancelledError:
        if not ended():
            raise KeyboardInterrupt from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _open_beside(backend: LocalBackend) -> str:
    """The executions and tasks that are open, in words."""
    executions = [execution.id for execution in backend.store.open_executions()]
    alone = [record.run.task for record in backend.store.open_runs() if record.run.execution is None]
    return ", ".join([*executions, *alone])


def follow_run(backend: LocalBackend, id: str, console: Console, *, raw: bool = False) -> Run:
    """Show a run's lines until it has stopped; the answer is how it ended."""
    tail = _Tail(backend, console, raw)

    def ended() -> bool:
        return backend.run(id).status == "STOPPED"

    with Live(console=console, transient=True, refresh_per_second=8) as live:

        def look() -> None:
            tail.show([id], print_to=live.console)
            live.update(_bar_line(tail.steps.of(id)) or Text())

        asyncio.run(work_and_follow(backend, ended, look, id))
        live.update(Text())
    return backend.run(id)


def follow_execution(backend: LocalBackend, id: str, console: Console) -> Execution:
    """Show an execution's states until it has ended; the answer is how it ended."""
    tail = _Tail(backend, console, raw=False, quiet=True)
    told: set[tuple[str, str]] = set()

    def ended() -> bool:
        return backend.execution(id).status != "RUNNING"

    def look_at() -> tuple[list[StateVisit], dict[str, Run]]:
        runs = {run.id: run for run in backend.runs(execution=id, limit=1000)}
        tail.show(list(runs), print_to=console, tasks={run.id: run.task for run in runs.values()})
        return [visit for visit in backend.visits(id) if visit.type == "Task"], runs

    if not console.is_terminal:

        def tell() -> None:
            visits, runs = look_at()
            for line in _news(visits, runs, told):
                console.print(line, highlight=False, soft_wrap=True)

        asyncio.run(work_and_follow(backend, ended, tell, id))
    else:
        with Live(console=console, refresh_per_second=8) as live:

            def draw() -> None:
                visits, runs = look_at()
                live.update(states_table(visits, runs, tail.steps))

            asyncio.run(work_and_follow(backend, ended, draw, id))
            live.vertical_overflow = "visible"  # the last picture is whole, however many states there are
            draw()
    return backend.execution(id)


class _Tail:
    """Prints lines of runs as they come; keeps progress for bars."""

    def __init__(self, backend: LocalBackend, console: Console, raw: bool, quiet: bool = False) -> None:
        self._backend = backend
        self._raw = raw or not console.is_terminal
        self._quiet = quiet
        self._position = 0
        self.steps = Steps()

    def show(self, runs: list[str], *, print_to: Console, tasks: dict[str, str] | None = None) -> None:
        for line in self._backend.log(runs, self._position):
            self._position = max(self._position, line.position)
            fields = parsed(line.text)
            if fields is not None and is_progress(fields):
                self.steps.note(line, fields)
                if not self._raw or self._quiet:
                    continue
            if self._quiet and (fields is None or fields.get("level") not in ("WARNING", "ERROR", "CRITICAL")):
                continue
            if self._raw and not self._quiet:
                unchanged(print_to, line.text)
            else:
                # A line that the terminal itself wraps would make rich misjudge where the live table begins.
                soft_wrap = not print_to.is_terminal
                print_to.print(pretty(line.text, line.time, task=(tasks or {}).get(line.run, "")), soft_wrap=soft_wrap)


def states_table(visits: list[StateVisit], runs: dict[str, Run], steps: Steps) -> RenderableType:
    """The states of an execution: what is done, what goes on and how far it is."""
    table = Table.grid(padding=(0, 2))
    for visit in visits:
        run = runs.get(visit.runs[-1]) if visit.runs else None
        took = duration(((visit.exited_at or datetime.now(UTC)) - visit.entered_at).total_seconds())
        name = Text(("  " * visit.depth) + visit.name)
        if visit.attempts > 1:
            name.append(f" (attempt {visit.attempts})", style="yellow")
        if visit.failed:
            table.add_row(Text("✗", style="bold red"), name, took, Text(_failure(visit, run), style="red"))
        elif visit.exited_at is not None:
            table.add_row(Text("✓", style="green"), name, took, Text(_summary(steps, run), style="dim"))
        else:
            line = _bar_line(steps.of(run.id) if run else None) or Text("starting" if run is None else "", style="dim")
            table.add_row(Spinner("dots", style="cyan"), name, took, line)
    return Group(table)


def _bar_line(step: dict[str, Any] | None) -> Text | None:
    if step is None or step.get("ended"):
        return None
    done, total, unit = step.get("done", 0), step.get("total"), step.get("unit", "")
    line = Text(f"{step.get('step')} ")
    if total:
        filled = min(BAR, int(BAR * done / total))
        line.append("━" * filled, style="cyan").append("━" * (BAR - filled), style="dim")
        return line.append(f" {done:,} of {total:,} {unit}")
    return line.append(f"{done:,} {unit}")


def _summary(steps: Steps, run: Run | None) -> str:
    done = [s for s in steps.steps.get(run.id, {}).values() if s.get("done")] if run else []
    return "\n".join(f"{step['step']}: {step['done']:,} {step.get('unit', '')}".strip() for step in done[:3])


def _failure(visit: StateVisit, run: Run | None) -> str:
    if run is not None and run.exit_code is not None:
        return f"exit code {run.exit_code}"
    return (run.reason if run else None) or visit.error or "failed"


def _news(visits: list[StateVisit], runs: dict[str, Run], told: set[tuple[str, str]]) -> list[str]:
    """Lines for a pipe: what began, failed and ended since the last look."""
    lines = []
    for visit in visits:
        for number, id in enumerate(visit.runs, start=1):
            run = runs.get(id)
            if run is None:
                continue
            attempt = f", attempt {number}" if number > 1 else ""
            if (id, "started") not in told:
                told.add((id, "started"))
                lines.append(f"{visit.name}: started (run {id[:12]}{attempt})")
            if run.status == "STOPPED" and (id, "stopped") not in told:
                told.add((id, "stopped"))
                took = duration(((run.stopped_at or run.created_at) - run.created_at).total_seconds())
                how = "succeeded" if run.exit_code == 0 else f"failed: {_failure(visit, run)}"
                lines.append(f"{visit.name}: {how} after {took}")
    return lines
