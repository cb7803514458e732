"""The declared workflows with their last executions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from nightferry.backend.queries import ExecutionFilter
from nightferry.dashboard.pages.catalog.success import count, format_instant
from nightferry.dashboard.pages.catalog.workflow import EXECUTIONS
from nightferry.dashboard.svg import columns
from nightferry.dashboard.view import View
from nightferry.presentation.durations import find_percentile
from nightferry.presentation.quantities import format_quantity


def show(view: View) -> Response:
    """Show all workflows."""
    workflows = [_describe(view, name) for name in view.catalog.workflows]
    return view.page(
        "workflows.html",
        title="Workflows",
        json=[
            {**{key: value for key, value in one.items() if key != "chart"}, "outcomes": asdict(one["outcomes"])}
            for one in workflows
        ],
        workflows=workflows,
        executions=EXECUTIONS,
    )


def _describe(view: View, name: str) -> dict[str, Any]:
    newest = list(view.backend.executions(ExecutionFilter(workflow=name), limit=EXECUTIONS))
    ended = [one for one in reversed(newest) if one.stopped_at is not None]
    lengths = [(one.stopped_at - one.started_at).total_seconds() for one in ended if one.stopped_at is not None]
    failed = [one.outcome == "failed" for one in ended]
    good = [length for length, bad in zip(lengths, failed, strict=True) if not bad]
    number = format_quantity(len(ended), "execution")
    title = f"Durations of the last {number} of {name}, the newest on the right; {sum(failed)} failed"
    return {
        "name": name,
        "description": view.catalog.workflows[name].description,
        "tasks": list(view.catalog.workflows[name].tasks),
        "outcomes": count(one.outcome for one in ended),
        "since": format_instant(newest[-1].started_at) if newest else None,
        "median_seconds": find_percentile(good, 50),
        "last": newest[0].outcome if newest else None,
        "chart": columns.draw(lengths, failed, max(lengths), title) if lengths else None,
    }
