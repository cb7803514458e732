"""The first page: is anything wrong, and what runs now?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from nightferry.backend.errors import Refused
from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.queries import ExecutionFilter, RunFilter, count_entries
from nightferry.backend.runs import RunSummary, TaskRun
from nightferry.dashboard.rendering import judge
from nightferry.dashboard.svg.strip import draw_strip
from nightferry.dashboard.view import View
from nightferry.local.engine.engine_lock import read_engine_pid
from nightferry.presentation.schedules.late_fires import find_late_fires
from nightferry.presentation.schedules.schedules import EnvironmentSchedule, find_upcoming, read_schedules

_PERIOD = timedelta(hours=24)
_SHOWN = 10
_EXPLAINED = 3  # the newest failures whose log is read for the last error
_FAILED_RUNS = 50  # of the period that are read, because steps of executions are not shown
_RUNS = 500  # of the period, for the strips
_NEXT = 3


@dataclass(frozen=True)
class Lane:
    """The runs of one task in the period."""

    task: str
    total: int
    failed: int
    strip: Markup


def show(view: View) -> Response:
    """Show what failed in the last 24 hours first, then what is open and what comes next, and a strip for each task."""
    now = view.site.clock.now()
    since = (now - _PERIOD).replace(microsecond=0)
    backend = view.backend
    failed_runs, open_runs = RunFilter(outcome="failed", since=since), RunFilter(outcome="open")
    failed_executions, open_executions = ExecutionFilter(outcome="failed", since=since), ExecutionFilter(outcome="open")
    runs = backend.run_summaries(RunFilter(since=since), limit=_RUNS)
    failed, opened = backend.runs(failed_runs, limit=_FAILED_RUNS), backend.runs(open_runs, limit=_SHOWN)
    executions = backend.executions(failed_executions, limit=_SHOWN)
    opened_executions = backend.executions(open_executions, limit=_SHOWN)
    newest: dict[str, RunSummary] = {}
    for run in runs:
        newest.setdefault(run.task, run)
    recovered = {task for task, run in newest.items() if run.succeeded}
    failed_tasks = {run.task for run in failed}
    is_repaired = not executions and failed.next is None and failed_tasks <= recovered
    alone = [run for run in failed if run.execution is None][:_SHOWN]  # the others are explained with their execution
    counts: dict[str, Any] = {
        "failed_executions": count_entries(executions, lambda: backend.count_executions(failed_executions)),
        "failed_runs": count_entries(failed, lambda: backend.count_runs(failed_runs)),
        "open_executions": count_entries(opened_executions, lambda: backend.count_executions(open_executions)),
        "open_runs": count_entries(opened, lambda: backend.count_runs(open_runs)),
    }
    schedules = read_schedules(view.catalog, view.environment, backend, now)
    late = find_late_fires(backend, schedules, now)
    upcoming = list_upcoming(schedules, now)
    return view.page(
        "now.html",
        title="Now",
        json={
            **{name: asdict(count) for name, count in counts.items()},
            "late": {one.schedule.name: list(one.fires) for one in late},
            "next": [{"schedule": schedule.name, "at": at} for schedule, at in upcoming],
        },
        live=True,
        since=since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        counts=counts,
        late=late,
        late_count=sum(len(one.fires) for one in late),
        upcoming=upcoming,
        engine_is_missing=view.environment.kind == "local" and read_engine_pid(view.site.project.state) is None,
        failed_executions=executions,
        failed_runs=[view.shown_run(run) for run in alone],
        reasons=explain_failures(view, executions, failed, alone),
        recovered=recovered,
        repaired=len(failed_tasks) if is_repaired else 0,
        open_executions=opened_executions,
        open_runs=[view.shown_run(run) for run in opened],
        lanes=list_lanes(runs, since, now),
        complete=runs.next is None,
        now=now,
    )


def explain_failures(
    view: View, executions: Sequence[ExecutionSummary], failed: Sequence[TaskRun], alone: Sequence[TaskRun]
) -> dict[str, tuple[TaskRun, str]]:
    """Return the failed run and its last error, by the ID of the newest failed executions and of runs outside them."""
    last = {run.execution: run for run in reversed(failed) if run.execution is not None}
    wanted = {one.id: last[one.id] for one in executions if one.id in last} | {run.id: run for run in alone}
    newest = sorted(wanted, key=lambda id: wanted[id].created_at, reverse=True)[:_EXPLAINED]
    try:
        errors = view.backend.last_errors([wanted[id] for id in newest])
    except Refused as problem:  # the caller may have the permission to read runs but not their log
        errors = {wanted[id].id: f"not known. {problem}" for id in newest}
    return {id: (wanted[id], errors[wanted[id].id]) for id in newest if wanted[id].id in errors}


def list_upcoming(
    schedules: Sequence[EnvironmentSchedule], now: datetime
) -> list[tuple[EnvironmentSchedule, datetime]]:
    """Return the next fires of all enabled schedules whose times are known."""
    found = [
        (schedule, one.fire.instant)
        for schedule in schedules
        if schedule.enabled and schedule.fires_are_known
        for one in find_upcoming(schedule, now, 1)
        if one.fire is not None
    ]
    return sorted(found, key=lambda pair: pair[1])[:_NEXT]


def list_lanes(runs: Sequence[RunSummary], since: datetime, now: datetime) -> list[Lane]:
    """Return a lane for each task with runs: those with failures first, then by name."""
    by_task: dict[str, list[RunSummary]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    lanes = []
    for task, found in by_task.items():
        bars = [(judge(run), run.started_at or run.created_at, run.stopped_at or now) for run in found]
        failed = sum(status == "failed" for status, _, _ in bars)
        title = f"{task}: {len(found)} runs in the last 24 hours, {failed} failed"
        lanes.append(Lane(task, len(found), failed, draw_strip(title, bars, since, now)))
    return sorted(lanes, key=lambda lane: (-lane.failed, lane.task))
