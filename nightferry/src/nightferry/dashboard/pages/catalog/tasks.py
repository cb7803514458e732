"""The declared tasks: does each succeed, how long does it take, and does it fit its size?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from nightferry.backend.usage import RunUsage
from nightferry.dashboard.pages.catalog.outcomes import count_outcomes, format_instant
from nightferry.dashboard.view import View
from nightferry.presentation.durations import find_percentile

DAYS = 30
MAX_RUNS = 2000


def show(view: View) -> Response:
    """Show all tasks with their ended runs of the last 30 days."""
    since = (view.site.clock.now() - timedelta(days=DAYS)).replace(microsecond=0)
    runs = view.backend.usage(since, limit=MAX_RUNS)
    if len(runs) == MAX_RUNS:  # a list from this run on has as many rows as are counted
        since = runs[-1].created_at
    by_task: dict[str, list[RunUsage]] = defaultdict(list)
    for run in runs:
        by_task[run.task].append(run)
    tasks = [_describe(view, name, by_task[name]) for name in view.catalog.tasks]
    return view.page(
        "tasks.html",
        title="Tasks",
        json={"since": since, "tasks": [{**task, "outcomes": asdict(task["outcomes"])} for task in tasks]},
        tasks=tasks,
        since=format_instant(since),
        begin=since,
    )


def _describe(view: View, name: str, runs: list[RunUsage]) -> dict[str, Any]:
    task = view.catalog.tasks[name]
    lengths = [run.seconds for run in runs if run.seconds is not None and run.outcome == "succeeded"]
    peaks = [run.peak_memory for run in runs if run.peak_memory is not None]
    return {
        "name": name,
        "description": task.description,
        "cpu": task.size.cpu,
        "memory": task.size.memory,
        "outcomes": count_outcomes(runs),
        "median_seconds": find_percentile(lengths, 50),
        "p95_seconds": find_percentile(lengths, 95),
        "peak_memory": max(peaks, default=None),
        "memory_used": max(peaks) / (task.size.memory << 20) if peaks else None,
        "last": runs[0].outcome if runs else None,
        "last_run": runs[0].run if runs else None,
    }
