"""The differences between two runs, or between two executions: only what differs, and the number of equal facts.

A value is text; a duration or a number also has its difference. The inputs must be redacted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.reports import Report
from nightferry.backend.runs import TaskRun
from nightferry.backend.states.causes import explain_cause
from nightferry.backend.states.values import StateExecution
from nightferry.presentation.durations import format_duration

MOST_DIFFERENCES = 200
"""The number of differences of one kind that are listed."""
_LONGEST_VALUE = 2_000

Value = str | int | float | timedelta | None


@dataclass(frozen=True)
class Difference:
    """A fact that differs. None means that one side does not have it. ``change`` is that of two numbers, in words."""

    name: str
    a: str | None
    b: str | None
    change: str = ""


@dataclass(frozen=True)
class Comparison:
    """The differences of one kind of facts, and how many facts are equal or left out."""

    title: str
    differences: tuple[Difference, ...]
    equal: int
    left_out: int = 0


def compare_runs(
    a: TaskRun,
    b: TaskRun,
    *,
    results: tuple[Any, Any] = (None, None),
    reports: tuple[Iterable[Report], Iterable[Report]] = ((), ()),
    measures: tuple[Mapping[str, Value], Mapping[str, Value]] = ({}, {}),
    now: datetime,
) -> list[Comparison]:
    """Return the differences between two runs. ``measures`` are further facts of each, such as its peak memory."""
    return [
        _compare("Outcome", _describe_outcome(a), _describe_outcome(b)),
        _compare(
            "Durations",
            {**_measure_run(a, now), **measures[0]},
            {**_measure_run(b, now), **measures[1]},
        ),
        _compare("Inputs", _list_inputs(a), _list_inputs(b)),
        _compare("Code", _list_code(a), _list_code(b)),
        _compare("Result", flatten(results[0]), flatten(results[1])),
        _compare("Reports", _count_reports(reports[0]), _count_reports(reports[1])),
    ]


def compare_executions(
    a: WorkflowExecution,
    b: WorkflowExecution,
    *,
    states: tuple[Sequence[StateExecution], Sequence[StateExecution]],
    reports: tuple[Iterable[Report], Iterable[Report]] = ((), ()),
    now: datetime,
) -> list[Comparison]:
    """Return the differences between two executions. The passes of an execution through a state count together."""
    return [
        _compare("Outcome", _describe_execution(a), _describe_execution(b)),
        _compare(
            "Durations",
            {"execution": (a.stopped_at or now) - a.started_at, **_measure_states(states[0], now)},
            {"execution": (b.stopped_at or now) - b.started_at, **_measure_states(states[1], now)},
        ),
        _compare("States", _count_states(states[0]), _count_states(states[1])),
        _compare("Input", flatten(a.input), flatten(b.input)),
        _compare("Output", flatten(a.output), flatten(b.output)),
        _compare("Reports", _count_reports(reports[0]), _count_reports(reports[1])),
    ]


# ── the facts of each side ────────────────────────────────────────────────────────────────────────────────────────


def _describe_outcome(run: TaskRun) -> dict[str, Value]:
    return {
        "task": run.task,
        "status": run.status,
        "exit code": None if run.exit_code is None else str(run.exit_code),
        "reason": run.reason,
        "started by": run.started_by or None,
        "attempt": str(run.attempt),
    }


def _measure_run(run: TaskRun, now: datetime) -> dict[str, Value]:
    started = run.started_at
    return {
        "waited": (started or run.stopped_at or now) - run.created_at,
        "took": None if started is None else (run.stopped_at or now) - started,
    }


def _list_inputs(run: TaskRun) -> dict[str, Value]:
    return {
        "arguments": " ".join(run.args) or None,
        **run.env,
        "cpu units": run.cpu,
        "memory in MiB": run.memory,
    }


def _list_code(run: TaskRun) -> dict[str, Value]:
    return {"task definition": run.revision, "image": run.image}


def _describe_execution(execution: WorkflowExecution) -> dict[str, Value]:
    return {
        "workflow": execution.workflow,
        "status": execution.status,
        "error": execution.error,
        "cause": execution.cause and explain_cause(execution.cause),
        "started by": execution.started_by or None,
    }


def _measure_states(states: Iterable[StateExecution], now: datetime) -> dict[str, Value]:
    """Return the time that an execution spent in each state, all passes together."""
    spent: dict[str, timedelta] = defaultdict(timedelta)
    for state in states:
        spent[state.name] += max((state.exited_at or now) - state.entered_at, timedelta())
    return dict(spent)


def _count_states(states: Iterable[StateExecution]) -> dict[str, Value]:
    counts: dict[str, int] = defaultdict(int)
    for state in states:
        counts[f"{state.name}: passes"] += 1
        counts[f"{state.name}: failed passes"] += state.failed
        counts[f"{state.name}: retries"] += max(state.attempts - 1, 0)
    return {name: number for name, number in counts.items() if number}


def _count_reports(reports: Iterable[Report]) -> dict[str, Value]:
    """Return the counts of each kind of report. Subjects, such as dated files, are seldom the same on both sides."""
    counts: dict[str, int] = defaultdict(int)
    for report in reports:
        counts[f"{report.kind}: reports"] += 1
        counts[f"{report.kind}: total"] += report.total
        for name, number in report.counts.items():
            counts[f"{report.kind}: {name}"] += number
    return dict(counts)


def flatten(value: Any, path: str = "") -> dict[str, Value]:
    """Return the values of JSON by their paths, such as ``files[0].name``."""
    members: Iterable[tuple[str, Any]]
    if isinstance(value, Mapping) and value:
        members = ((f"{path}.{key}" if path else str(key), member) for key, member in value.items())
    elif isinstance(value, list) and value:
        members = ((f"{path}[{number}]", member) for number, member in enumerate(value))
    elif value is None and not path:
        return {}
    elif _is_plain(value):
        return {path or "value": value}
    else:
        return {path or "value": json.dumps(value, default=str)}
    found: dict[str, Value] = {}
    for name, member in members:
        found |= flatten(member, name)
    return found


def _is_plain(value: Any) -> bool:
    """Return True for a number, and for a text that is not JSON itself: ``"10"`` must differ from ``10``."""
    if not isinstance(value, str):
        return isinstance(value, int | float) and not isinstance(value, bool)
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return True
    return False


# ── their differences ─────────────────────────────────────────────────────────────────────────────────────────────


def _compare(title: str, a: Mapping[str, Value], b: Mapping[str, Value]) -> Comparison:
    names = list(dict.fromkeys((*a, *b)))
    found = [
        Difference(name, _format(a.get(name)), _format(b.get(name)), _describe_change(a.get(name), b.get(name)))
        for name in names
        if not _is_equal(a.get(name), b.get(name))
    ]
    listed = tuple(found[:MOST_DIFFERENCES])
    equal = sum(a[name] is not None and _is_equal(a[name], b[name]) for name in a.keys() & b.keys())
    return Comparison(title, listed, equal, len(found) - len(listed))


def _is_equal(a: Value, b: Value) -> bool:
    """Return True for equal values. Durations that are shown with the same text are equal."""
    if isinstance(a, timedelta) and isinstance(b, timedelta):
        return _format(a) == _format(b)
    return a == b and type(a) is type(b)


def _format(value: Value) -> str | None:
    match value:
        case None:
            return None
        case timedelta():
            return format_duration(max(value.total_seconds(), 0))
        case int() | float():
            return f"{value:,}"
    return value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}… ({len(value):,} characters)"


def _describe_change(a: Value, b: Value) -> str:
    """Return the change from one number or duration to another one, with their ratio."""
    if isinstance(a, timedelta) and isinstance(b, timedelta):
        change, before = (b - a).total_seconds(), a.total_seconds()
        text = f"{'+' if change > 0 else '−'}{format_duration(abs(change))}"
    elif isinstance(a, int | float) and isinstance(b, int | float):
        change, before = b - a, a
        text = f"{change:+,}".replace("-", "−")
    else:
        return ""
    ratio = (before + change) / before if before > 0 else 0
    return f"{text} ({ratio:.1f}×)" if ratio >= 0.1 and not 0.95 <= ratio < 1.05 else text
