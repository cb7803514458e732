"""One task: its declaration, the sources of its settings, its durations, its use of its size, and its last runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from nightferry.backend.queries import RunFilter
from nightferry.backend.request_checks import get_task
from nightferry.backend.usage import RunUsage
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task
from nightferry.costs.fargate import list_price_keys, price_seconds
from nightferry.costs.observations import summarize
from nightferry.costs.prices import ARCHITECTURE_NAMES, ARCHITECTURES, find_prices
from nightferry.dashboard.pages.catalog.grants import describe_grants
from nightferry.dashboard.pages.catalog.outcomes import count_outcomes, format_instant
from nightferry.dashboard.pages.catalog.setting_sources import list_setting_values
from nightferry.dashboard.svg import durations
from nightferry.dashboard.view import View
from nightferry.presentation.costs import format_dollars
from nightferry.presentation.durations import find_percentile
from nightferry.presentation.quantities import format_quantity

DAYS = 90
MAX_RUNS = 2000
_LAST_RUNS = 10


def show(view: View) -> Response:
    """Show a task."""
    task = get_task(view.catalog, view.path["task"])
    now = view.site.clock.now()
    since = (now - timedelta(days=DAYS)).replace(microsecond=0)
    runs = view.backend.usage(since, task=task.name, limit=MAX_RUNS)
    if len(runs) == MAX_RUNS:
        since = runs[-1].created_at
    outcomes = count_outcomes(runs)
    ran = [run for run in runs if run.seconds is not None and run.outcome != "stopped"]
    columns = [durations.Column(run.created_at, run.seconds or 0, run.outcome == "failed") for run in ran]
    number = format_quantity(len(ran), "run")
    title = f"Durations of {number} of {task.name} since {since:%Y-%m-%d}, {outcomes.failed} failed"
    use = _describe_use(task, runs)
    settings = [
        asdict(setting) | {"value": view.shown(setting.value, setting.variable)}
        for setting in list_setting_values(view.catalog, view.environment, task)
    ]
    cost = _price_run(view, task, runs)
    facts = {
        "task": task.name, "description": task.description, "declared_in": task.declared_in,
        "command": list(task.command), "cpu": task.size.cpu, "memory": task.size.memory, "scratch": task.scratch,
        "time_limit_seconds": task.time_limit.total_seconds(), "overlap": task.overlap,
        "by_hand": task.by_hand,
    }  # fmt: skip
    return view.page(
        "task.html",
        title=f"Task {task.name}",
        json={**facts, "since": since, "outcomes": asdict(outcomes), "use": use, "settings": settings, "cost": cost},
        task=task,
        outcomes=outcomes,
        since=format_instant(since),
        days=(now - since).days,
        chart=durations.draw(columns, since, now, title) if columns else None,
        use=use,
        settings=settings,
        cost=cost,
        grants=list(describe_grants(task)),
        statements=_list_statements(view, task),
        secrets=sorted({secret.name for secret in {**view.catalog.secrets, **task.secrets}.values()}),
        starts=_list_starts(view.catalog, task),
        last_runs=[view.shown_run(run) for run in view.backend.runs(RunFilter(task=task.name), limit=_LAST_RUNS)],
        now=now,
    )


def _describe_use(task: Task, runs: Sequence[RunUsage]) -> dict[str, Any]:
    lengths = [run.seconds for run in runs if run.seconds is not None and run.outcome == "succeeded"]
    peaks = [run.peak_memory for run in runs if run.peak_memory is not None]
    sizes = [float(run.log_bytes) for run in runs if run.log_bytes is not None]
    return {
        "median_seconds": find_percentile(lengths, 50),
        "p95_seconds": find_percentile(lengths, 95),
        "longest_seconds": max(lengths, default=None),
        "peak_memory": max(peaks, default=None),
        "measured": format_quantity(len(peaks), "run"),
        "memory_used": max(peaks) / (task.size.memory << 20) if peaks else None,
        "median_log_bytes": find_percentile(sizes, 50),
    }


def _price_run(view: View, task: Task, runs: Sequence[RunUsage]) -> dict[str, str]:
    """Return the price of a run of the usual length by architecture, as text."""
    usual, prices = summarize(runs, DAYS), find_prices(view.environment)
    if usual is None:
        return {}
    found = {}
    for architecture in ARCHITECTURES:
        price = price_seconds(task.size, task.scratch, usual.billed_seconds, prices, architecture)
        keys = list_price_keys(task.scratch, architecture)
        name = ARCHITECTURE_NAMES[architecture]
        found[name] = prices.explain_missing(*keys) if price is None else f"about {format_dollars(price)} per run"
        if price is not None and price < 1:
            found[name] = f"about ${price:.4f} per run, {format_dollars(price * 1000)} for 1,000 runs"
    return found


def _list_statements(view: View, task: Task) -> str | None:
    """Return the statements of the task's role on AWS as JSON; None for an environment on this machine."""
    if view.environment.aws is None:
        return None
    from nightferry.terraform.grants import build_statements
    from nightferry.terraform.names import Names

    statements = build_statements(Names(view.catalog, view.environment), task)
    return json.dumps(statements, indent=2, ensure_ascii=False)


def _list_starts(catalog: Catalog, task: Task) -> dict[str, list[str]]:
    """Return the names of what starts a task: schedules, triggers and workflows."""
    return {
        "schedules": [one.name for one in catalog.schedules.values() if one.target == task.name],
        "triggers": [one.name for one in catalog.object_triggers.values() if one.target == task.name],
        "workflows": [one.name for one in catalog.workflows.values() if task.name in one.tasks],
    }
