"""The first page: is anything wrong, and what runs now?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from nightferry.backend.interface import TaskRun
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.dashboard.rendering import judge
from nightferry.dashboard.svg.strip import draw_strip
from nightferry.dashboard.view import View

_PERIOD = timedelta(hours=24)
_SHOWN = 10
_RUNS = 500  # of the period, for the strips


@dataclass(frozen=True)
class Lane:
    """The runs of one task in the period."""

    task: str
    total: int
    failed: int
    strip: Markup


def show(view: View) -> Response:
    """Show what failed in the last 24 hours first, then what is open, and a strip for each task."""
    now = view.site.clock.now()
    since = (now - _PERIOD).replace(microsecond=0)
    backend = view.backend
    failed_runs = RunFilter(outcome="failed", since=since)
    failed_executions = ExecutionFilter(outcome="failed", since=since)
    runs = backend.runs(RunFilter(since=since), limit=_RUNS)
    newest: dict[str, TaskRun] = {}
    for run in runs:
        newest.setdefault(run.task, run)
    # A run within an execution is explained there.
    failed = [view.shown_run(run) for run in backend.runs(failed_runs, limit=5 * _SHOWN) if run.execution is None]
    counts: dict[str, Any] = {
        "failed_executions": backend.count_executions(failed_executions),
        "failed_runs": backend.count_runs(failed_runs),
        "open_executions": backend.count_executions(ExecutionFilter(outcome="open")),
        "open_runs": backend.count_runs(RunFilter(outcome="open")),
    }
    return view.page(
        "now.html",
        title="Now",
        json={name: asdict(count) for name, count in counts.items()},
        live=True,
        since=since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        counts=counts,
        failed_executions=list(backend.executions(failed_executions, limit=_SHOWN)),
        failed_runs=failed[:_SHOWN],
        recovered={task for task, run in newest.items() if run.succeeded},
        open_executions=list(backend.executions(ExecutionFilter(outcome="open"), limit=_SHOWN)),
        open_runs=[view.shown_run(run) for run in backend.runs(RunFilter(outcome="open"), limit=_SHOWN)],
        lanes=list_lanes(runs, since, now),
        complete=runs.next is None,
        now=now,
    )


def list_lanes(runs: Sequence[TaskRun], since: datetime, now: datetime) -> list[Lane]:
    """Return a lane for each task with runs: those with failures first, then by name."""
    by_task: dict[str, list[TaskRun]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    lanes = []
    for task, found in by_task.items():
        failed = sum(judge(run) == "failed" for run in found)
        bars = [(judge(run), run.started_at or run.created_at, run.stopped_at or now) for run in found]
        title = f"{task}: {len(found)} runs in the last 24 hours, {failed} failed"
        lanes.append(Lane(task, len(found), failed, draw_strip(title, bars, since, now)))
    return sorted(lanes, key=lambda lane: (-lane.failed, lane.task))
