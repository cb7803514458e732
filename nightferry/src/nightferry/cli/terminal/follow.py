"""Follow a run or an execution: with progress bars on a terminal, line by line in a pipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.interface import Backend
from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.backend.states.values import StateExecution
from nightferry.cli.terminal.output import print_log_line
from nightferry.cli.terminal.streams import echo
from nightferry.cli.terminal.tail import Tail
from nightferry.cli.terminal.watch import PollResult, Watcher
from nightferry.clock import Clock, get_clock
from nightferry.presentation.durations import format_duration
from nightferry.presentation.progress import StepProgress
from nightferry.printable import make_one_line

BAR_CHARACTERS = 24
_MAX_RUNS = 1000  # of an execution


def follow_run(
    backend: Backend, id: str, console: Console, *, env: str = "local", raw: bool = False, clock: Clock | None = None
) -> TaskRun:
    """Print a run's lines until it has stopped and its log is complete. Return the stopped run.

    Raises StoppedWatching, KeyboardInterrupt or Refused, as :class:`nightferry.cli.terminal.watch.Watcher` does.
    """
    clock = clock or get_clock()
    tail = Tail(backend, console, raw)
    run: TaskRun | None = None
    with Live(console=console, transient=True, auto_refresh=False) as live:

        def poll() -> PollResult:
            nonlocal run
            # The status is read before the lines, so that a stopped run has already written all its lines.
            before, run = run, backend.run(id)
            changed = before is None or before.status != run.status
            if changed and backend.outlives_client and not console.is_terminal:
                echo(_format_state(run, clock), err=True)
            lines = tail.show([run.id], print_to=live.console)
            return PollResult(lines or changed, run.status == "STOPPED" and tail.is_drained(run.id))

        def draw() -> None:
            if run is not None and console.is_terminal:
                live.update(_render_state(run, tail.steps, clock), refresh=True)

        Watcher(backend, id, env=env, clock=clock, live=live).watch(poll, draw)
        live.update(Text())
    assert run is not None
    return run


def _format_state(run: TaskRun, clock: Clock) -> str:
    took = format_duration(((run.stopped_at or clock.now()) - run.created_at).total_seconds())
    return f"{run.task}: {run.status} after {took} (run {run.id})"


def _render_state(run: TaskRun, steps: StepProgress, clock: Clock) -> Text:
    """Return the run's status, its duration and the progress of its step."""
    took = format_duration(((run.stopped_at or clock.now()) - run.created_at).total_seconds())
    line = Text(f"{make_one_line(run.task)} ").append(run.status, style="cyan").append(f" {took}", style="dim")
    bar = _render_bar(steps.find_latest(run.id))
    return line if bar is None else line.append("  ").append(bar)


@dataclass(frozen=True)
class SeenExecution:
    """The states and runs of an execution before a redrive, which :func:`follow_execution` does not display again."""

    states: frozenset[StateExecution] = frozenset()
    runs: frozenset[str] = frozenset()

    @classmethod
    def read(cls, backend: Backend, id: str) -> SeenExecution:
        """Return the states and runs that the execution has now."""
        runs = backend.runs(RunFilter(execution=id), limit=_MAX_RUNS)
        return cls(frozenset(backend.state_history(id)), frozenset(run.id for run in runs))


def follow_execution(
    backend: Backend,
    id: str,
    console: Console,
    *,
    env: str = "local",
    clock: Clock | None = None,
    seen: SeenExecution | None = None,
) -> WorkflowExecution:
    """Display an execution's states until it has ended, and return it. Raises the errors of ``follow_run``.

    States and runs in ``seen`` are not displayed.
    """
    seen = seen or SeenExecution()
    clock = clock or get_clock()
    tail = Tail(backend, console, raw=False, quiet=True)
    printed: set[tuple[str, str]] = set()
    execution: WorkflowExecution | None = None
    states: list[StateExecution] = []
    runs: dict[str, TaskRun] = {}

    def poll() -> PollResult:
        nonlocal execution, states, runs
        before = (execution, states, runs)
        execution = backend.execution(id)
        found = backend.runs(RunFilter(execution=execution.id), limit=_MAX_RUNS)
        runs = {run.id: run for run in found if run.id not in seen.runs}
        lines = tail.show(list(runs), print_to=console, tasks={run.id: run.task for run in runs.values()})
        history = backend.state_history(execution.id)
        states = [state for state in history if state.type == "Task" and state not in seen.states]
        if not console.is_terminal:
            for line in _list_changes(states, runs, printed):
                print_log_line(console, line)
        drained = all(tail.is_drained(run.id) for run in runs.values())
        return PollResult(lines or before != (execution, states, runs), execution.status != "RUNNING" and drained)

    if not console.is_terminal:
        Watcher(backend, id, "execution", env, clock).watch(poll)
    else:
        with Live(console=console, auto_refresh=False) as live:

            def draw() -> None:
                live.update(render_states(states, runs, tail.steps), refresh=True)

            Watcher(backend, id, "execution", env, clock, live).watch(poll, draw)
            live.vertical_overflow = "visible"  # the final table shows all states, even if it exceeds the screen
            draw()
    assert execution is not None
    return execution


def render_states(states: list[StateExecution], runs: dict[str, TaskRun], steps: StepProgress) -> RenderableType:
    """Return a table of an execution's states with their durations, results and progress."""
    table = Table.grid(padding=(0, 2))
    for state in states:
        run = runs.get(state.runs[-1]) if state.runs else None
        took = format_duration(((state.exited_at or get_clock().now()) - state.entered_at).total_seconds())
        name = Text(("  " * state.depth) + make_one_line(state.name))
        if state.attempts > 1:
            name.append(f" (attempt {state.attempts})", style="yellow")
        if state.failed:
            table.add_row(
                Text("✗", style="bold red"), name, took, Text(make_one_line(_describe_failure(state, run)), style="red")
            )
        elif state.exited_at is not None:
            table.add_row(Text("✓", style="green"), name, took, Text(_summarize_steps(steps, run), style="dim"))
        else:
            line = _render_bar(steps.find_latest(run.id) if run else None) or Text(
                "starting" if run is None else "", style="dim"
            )
            table.add_row(Spinner("dots", style="cyan"), name, took, line)
    return Group(table)


def format_state_rows(states: list[StateExecution], runs: dict[str, TaskRun]) -> list[tuple[str, ...]]:
    """Return a row for each state of an execution: name, attempts, status, duration, failure."""
    rows: list[tuple[str, ...]] = []
    for state in states:
        status = "failed" if state.failed else "running" if state.exited_at is None else "succeeded"
        took = format_duration(((state.exited_at or get_clock().now()) - state.entered_at).total_seconds())
        run = runs.get(state.runs[-1]) if state.runs else None
        rows.append(
            (state.name, str(state.attempts), status, took, _describe_failure(state, run) if state.failed else "")
        )
    return rows


def _render_bar(step: dict[str, Any] | None) -> Text | None:
    if step is None or step.get("ended"):
        return None
    done, total, unit = step.get("done", 0), step.get("total"), step.get("unit", "")
    line = Text(f"{step.get('step')} ")
    if total:
        filled = min(BAR_CHARACTERS, int(BAR_CHARACTERS * done / total))
        line.append("━" * filled, style="cyan").append("━" * (BAR_CHARACTERS - filled), style="dim")
        return line.append(f" {done:,} of {total:,} {unit}")
    return line.append(f"{done:,} {unit}")


def _summarize_steps(steps: StepProgress, run: TaskRun | None) -> str:
    done = [s for s in steps.steps.get(run.id, {}).values() if s.get("done")] if run else []
    return "\n".join(
        make_one_line(f"{step['step']}: {step['done']:,} {step.get('unit', '')}".strip()) for step in done[:3]
    )


def _describe_failure(state: StateExecution, run: TaskRun | None) -> str:
    if run is not None and run.exit_code is not None:
        return f"exit code {run.exit_code}"
    return (run.reason if run else None) or state.error or "failed"


def _list_changes(states: list[StateExecution], runs: dict[str, TaskRun], printed: set[tuple[str, str]]) -> list[str]:
    """Return a line for each run that started or stopped since the last poll. Add them to ``printed``."""
    lines = []
    for state in states:
        for number, id in enumerate(state.runs, start=1):
            run = runs.get(id)
            if run is None:
                continue
            attempt = f", attempt {number}" if number > 1 else ""
            if (id, "started") not in printed:
                printed.add((id, "started"))
                lines.append(f"{state.name}: started (run {id[:12]}{attempt})")
            if run.status == "STOPPED" and (id, "stopped") not in printed:
                printed.add((id, "stopped"))
                took = format_duration(((run.stopped_at or run.created_at) - run.created_at).total_seconds())
                outcome = "succeeded" if run.exit_code == 0 else f"failed: {_describe_failure(state, run)}"
                lines.append(f"{state.name}: {outcome} after {took}")
    return lines
