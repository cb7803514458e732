"""The rows of an execution's timeline: the jobs with their attempts, and Maps with many items as one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from nightferry.backend.runs import TaskRun
from nightferry.backend.states.values import MapSummary, StateExecution
from nightferry.dashboard.svg.time_scale import Scale, Span

LARGEST_MAP = 20
"""A Map with more items is one row. Its page lists them."""


@dataclass(frozen=True)
class Row:
    """A row of the timeline. ``usual`` is the usual length of the job in seconds, or None."""

    state: StateExecution
    status: str
    spans: tuple[Span, ...]
    counts: MapSummary | None
    task: str | None
    run: TaskRun | None
    usual: float | None


def judge_state(state: StateExecution, *, ended: bool = False) -> str:
    """Return the status of a pass through a state, as a key of the rendering's statuses.

    ``ended`` is True if the execution has ended, so that a state without an end was stopped with it.
    """
    if state.failed:
        return "failed"
    if state.exited_at is None:
        return "stopped" if ended else "open"
    return "succeeded"


def make_rows(
    states: Sequence[StateExecution],
    maps: Mapping[tuple[str, int], MapSummary],
    runs: Mapping[str, TaskRun],
    find_usual: Callable[[str], float | None],
    *,
    ended: bool,
    now: datetime,
) -> list[Row]:
    """Return a row for each pass through a Task, and for each Map whose items are too many to be rows."""
    rows = []
    for state in states:
        counts = maps.get((state.path, state.visit))
        folded = counts is not None and counts.total > LARGEST_MAP
        if state.type != "Task" and not folded:
            continue
        run = runs.get(state.runs[-1]) if state.runs else None
        task = run.task if run is not None else None
        usual = find_usual(task) if task is not None else None
        status, spans = judge_state(state, ended=ended), list_spans(state, ended=ended, now=now)
        rows.append(Row(state, status, spans, counts, task, run, usual))
    return rows


def list_spans(state: StateExecution, *, ended: bool, now: datetime) -> tuple[Span, ...]:
    """Return the attempts of a state on the timeline; without any, the time in the state."""
    end = state.exited_at or (now if not ended else state.entered_at)
    if not state.tries:
        return (Span(state.entered_at, max(end, state.entered_at), judge_state(state, ended=ended)),)
    spans = []
    for number, attempt in enumerate(state.tries):
        is_last = number == len(state.tries) - 1
        stop = attempt.ended_at or (end if is_last else attempt.scheduled_at)
        if attempt.error or (is_last and state.failed):
            status = "failed"
        elif attempt.ended_at is not None:
            status = "succeeded"
        else:
            status = "stopped" if ended or not is_last else "open"
        spans.append(Span(attempt.scheduled_at, max(stop, attempt.scheduled_at), status))
    return tuple(spans)


def make_scale(rows: Sequence[Row], started: datetime, stopped: datetime) -> Scale:
    """Return the common scale of all rows, from the start of the execution to its end."""
    return Scale.fit([span for row in rows for span in row.spans], started, stopped)
