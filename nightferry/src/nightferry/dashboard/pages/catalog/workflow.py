"""One workflow: its last executions as columns, its slowest state, and its declaration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.queries import ExecutionFilter, Outcome
from nightferry.backend.request_checks import get_workflow
from nightferry.catalog.declarations import Task
from nightferry.costs.prices import find_prices
from nightferry.costs.transitions import count_overlap_transitions, measure_definition
from nightferry.dashboard.pages.catalog.outcomes import count, format_instant
from nightferry.dashboard.pages.catalog.state_lengths import StateHistories, StateLengths, compare, find_slowest
from nightferry.dashboard.svg import columns
from nightferry.dashboard.view import View
from nightferry.presentation.costs import format_dollars
from nightferry.presentation.durations import find_percentile
from nightferry.presentation.quantities import format_quantity
from nightferry.schedules.durations import measure_workflow

EXECUTIONS = 30


def show(view: View) -> Response:
    """Show a workflow."""
    workflow = get_workflow(view.catalog, view.path["workflow"])
    newest = list(view.backend.executions(ExecutionFilter(workflow=workflow.name), limit=EXECUTIONS))
    ended = [one for one in reversed(newest) if one.stopped_at is not None]  # the oldest first, as columns
    outcomes = count(one.outcome for one in ended)
    histories = view.site.get_shared(StateHistories)
    states = compare([histories.find(one) for one in ended])
    slowest = find_slowest(states)
    succeeded = list_durations(ended, "succeeded")
    longest = max((length for state in states for length in state.lengths if length is not None), default=0.0)
    usual = find_percentile(succeeded, 50)
    data = {
        "workflow": workflow.name,
        "description": workflow.description,
        "declared_in": workflow.declared_in,
        "outcomes": asdict(outcomes),
        "median_seconds": usual,
        "slowest": slowest.name if slowest else None,
        "states": [asdict(state) | {"median": state.median, "p95": state.p95} for state in states],
        "executions": [asdict(one) for one in ended],
    }
    return view.page(
        "workflow.html",
        title=f"Workflow {workflow.name}",
        json=data,
        workflow=workflow,
        newest=newest,
        outcomes=outcomes,
        since=format_instant(newest[-1].started_at) if newest else None,
        chart=draw_durations(ended, workflow.name) if ended else None,
        states=[_describe(state, longest, usual) for state in states],
        slowest=slowest,
        unusual=[state for state in states if state.last_is_unusual],
        usual=usual,
        p95=find_percentile(succeeded, 95),
        expected=None if usual is not None else measure_workflow(workflow.definition, _expect(view)).total,
        transitions=_price_transitions(view, workflow.name),
        definition=json.dumps(workflow.definition, indent=2, ensure_ascii=False),
        schedules=[one.name for one in view.catalog.schedules.values() if one.target == workflow.name],
        triggers=[one.name for one in view.catalog.object_triggers.values() if one.target == workflow.name],
        now=view.site.clock.now(),
    )


def list_durations(ended: Sequence[ExecutionSummary], outcome: Outcome | None = None) -> list[float]:
    """Return the seconds that ended executions took, all or those with an outcome."""
    return [
        max(((one.stopped_at or one.started_at) - one.started_at).total_seconds(), 0)
        for one in ended
        if outcome in (None, one.outcome)
    ]


def draw_durations(ended: Sequence[ExecutionSummary], workflow: str) -> Markup:
    """Return a column for each of the ended executions, the oldest first."""
    totals, failed = list_durations(ended), [one.outcome == "failed" for one in ended]
    title = f"Durations of the last {format_quantity(len(totals), 'execution')} of {workflow}, the newest on the right"
    return columns.draw(totals, failed, max(totals), f"{title}; {sum(failed)} failed")


def _describe(state: StateLengths, longest: float, usual: float | None) -> dict[str, Any]:
    failures = sum(state.failed)
    entered = sum(length is not None for length in state.lengths)
    title = f"Durations of state {state.name} in {format_quantity(entered, 'execution')}, the newest on the right"
    median = state.median
    return {
        "name": state.name,
        "type": state.type,
        "median": median,
        "p95": state.p95,
        "part": median / usual if median is not None and usual else None,
        "entered": entered,
        "failures": failures,
        "chart": columns.draw(state.lengths, state.failed, longest, f"{title}; {failures} failed"),
    }


def _expect(view: View) -> Any:
    """Return the expected duration of a task, for a workflow that was never executed here."""

    def expect(name: str) -> timedelta:
        task: Task = view.catalog.tasks[name]
        return task.expected or task.time_limit

    return expect


def _price_transitions(view: View, name: str) -> str:
    workflow = view.catalog.workflows[name]
    number = measure_definition(workflow.definition).transitions + count_overlap_transitions(workflow.overlap)
    prices = find_prices(view.environment)
    found = prices.find("states_thousand_transitions")
    if found is None:
        return f"about {number:,.0f} transitions; {prices.explain_missing('states_thousand_transitions')}"
    return f"about {number:,.0f} transitions, {format_dollars(found[0] * number)} for 1,000 executions"
