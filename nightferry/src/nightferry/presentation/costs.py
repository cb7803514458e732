"""An estimate of costs as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.costs.estimate import NOT_INCLUDED, Estimate, TaskCost, WorkflowCost
from nightferry.costs.prices import ARCHITECTURE_NAMES, ARCHITECTURES
from nightferry.presentation.durations import format_duration
from nightferry.presentation.quantities import format_quantity

_LEAST_CENT = 0.005


def format_dollars(amount: float | None) -> str:
    """Return an amount with cents: $12.34, or <$0.01, or "unknown"."""
    if amount is None:
        return "unknown"
    if 0 < amount < _LEAST_CENT:
        return "<$0.01"
    return f"${amount:,.2f}"


def describe_total(estimate: Estimate) -> str:
    """Return the totals of a month in one sentence, which always includes that they are approximate."""
    amounts = ", ".join(
        f"{format_dollars(estimate.total(architecture))} with {ARCHITECTURE_NAMES[architecture]}"
        for architecture in ARCHITECTURES
    )
    number = len(estimate.unknown)
    without = f", without {format_quantity(number, 'unknown part')}" if number else ""
    return f"{estimate.environment}, {estimate.month}: about {amounts}{without}"


def format_count(number: float) -> str:
    """Return a mean or expected number: 31, or 2.5."""
    return f"{number:,.0f}" if number >= 10 or number == round(number) else f"{number:.1f}"


def format_each(cost: TaskCost) -> str:
    """Return the time for which a run of a task is billed."""
    return "unknown" if cost.seconds is None else format_duration(cost.seconds)


def format_starts(starts: Mapping[str, float]) -> str:
    """Return the starts by source: "30 nightly, 4 other starts"."""
    return ", ".join(f"{format_count(number)} {source}" for source, number in starts.items())


def describe_basis(estimate: Estimate) -> str:
    """Return the sentence about the runs and the prices of an estimate."""
    seen = estimate.observations
    dates = sorted(set(estimate.prices.sources.values()))
    return (
        f"From the runs of {seen.environment} of the last {seen.days:.0f} days and the schedules of "
        f"{estimate.environment}. Prices of {estimate.prices.region}: {'; '.join(dates) or 'none'}."
    )


def list_costly(estimate: Estimate) -> list[TaskCost]:
    """Return the tasks that run in the month, the most expensive ones first, those with an unknown price last."""
    running = [cost for cost in estimate.tasks if cost.runs]
    return sorted(running, key=lambda cost: -(cost.prices["x86"] if cost.prices["x86"] is not None else -1))


def list_executed(estimate: Estimate) -> list[WorkflowCost]:
    """Return the workflows that run in the month."""
    return [cost for cost in estimate.workflows if cost.executions]


def render_json(estimate: Estimate) -> dict[str, Any]:
    """Return the estimate as a JSON object. Amounts are in U.S. dollars, and null where they are unknown."""
    log = estimate.log
    return {
        "environment": estimate.environment,
        "month": str(estimate.month),
        "currency": "USD",
        "about": True,
        "region": estimate.prices.region,
        "prices": dict(estimate.prices.values),
        "price_sources": dict(estimate.prices.sources),
        "runs_of": estimate.observations.environment,
        "since": estimate.observations.since,
        "total": {architecture: estimate.total(architecture) for architecture in ARCHITECTURES},
        "tasks": [
            {
                "task": cost.task,
                "cpu": cost.size.cpu,
                "memory": cost.size.memory,
                "runs": cost.runs,
                "starts": dict(cost.starts),
                "billed_seconds": cost.seconds,
                "median_seconds": cost.median_seconds,
                "basis": cost.basis,
                "price": dict(cost.prices),
            }
            for cost in estimate.tasks
        ],
        "workflows": [
            {
                "workflow": cost.workflow,
                "executions": cost.executions,
                "starts": dict(cost.starts),
                "transitions": cost.transitions,
                "basis": cost.basis,
                "price": cost.price,
            }
            for cost in estimate.workflows
        ],
        "log": {"gb": log.gb, "stored_gb": log.stored_gb, "ingestion": log.ingestion, "storage": log.storage},
        "unknown": list(estimate.unknown),
        "not_included": list(NOT_INCLUDED),
    }
