"""The declared workflows with their last executions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from nightferry.backend.queries import ExecutionFilter
from nightferry.dashboard.pages.catalog.outcomes import count, format_instant
from nightferry.dashboard.pages.catalog.workflow import EXECUTIONS, draw_durations, list_durations
from nightferry.dashboard.view import View
from nightferry.presentation.durations import find_percentile


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
    return {
        "name": name,
        "description": view.catalog.workflows[name].description,
        "tasks": list(view.catalog.workflows[name].tasks),
        "outcomes": count(one.outcome for one in ended),
        "since": format_instant(newest[-1].started_at) if newest else None,
        "median_seconds": find_percentile(list_durations(ended, "succeeded"), 50),
        "last": newest[0].outcome if newest else None,
        "chart": draw_durations(ended, name) if ended else None,
    }
