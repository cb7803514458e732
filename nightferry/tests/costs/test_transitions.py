"""Transitions and runs of an execution: by hand, from definitions, and from the histories of real executions."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from nightferry.backend.states.values import StateExecution
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.contract import Overlap
from nightferry.costs.prices import build_prices
from nightferry.costs.transitions import (
    ExecutionUsage,
    count_overlap_transitions,
    count_transitions,
    list_distributed_maps,
    measure_definition,
)
from nightferry.states.builder import ForEach, Retry, RunTask, Steps
from nightferry.terraform.overlap import apply_policy
from tests.costs.declared import Settings

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def state(name: str, kind: str = "Pass", attempts: int = 0, depth: int = 0) -> StateExecution:
    return StateExecution(name, kind, NOW, NOW, False, None, attempts, depth, ())


def test_states_items_of_maps_and_retries_are_transitions() -> None:
    states = [
        state("load", "Task", attempts=3),  # two retries
        state("each", "Map"),
        *(state("item", "Task", attempts=1, depth=1) for _ in range(4)),
        state("done", "Succeed"),
    ]
    assert count_transitions(states) == 3 + 1 + 4 + 1 + 1


def test_a_month_of_transitions_costs_what_awss_price_page_calculates() -> None:
    """100,000 executions of three states: 400,000 transitions, of which AWS's free tier includes 4,000."""
    price = build_prices("us-east-1", {}).values["states_thousand_transitions"]
    transitions = measure_definition({"StartAt": "a", "States": _chain("a", "b", "c")}).transitions * 100_000
    assert transitions == 400_000
    assert price * (transitions - 4_000) / 1000 == pytest.approx(9.90)


def _chain(*names: str) -> dict[str, Any]:
    followers = dict(itertools.pairwise(names))
    return {
        name: {"Type": "Pass", **({"Next": followers[name]} if name in followers else {"End": True})} for name in names
    }


def test_a_workflow_of_steps_has_its_runs_by_task() -> None:
    catalog = Catalog("app", image=Image("app"))
    load, send = (catalog.task(name, command=[name], config=Settings) for name in ("load", "send"))
    steps = Steps(RunTask(load), ForEach([1, 2, 3], RunTask(send)), RunTask(load, name="again"))
    workflow = catalog.workflow("all", steps, retry=Retry(attempts=2, interval=1))
    usage = measure_definition(workflow.definition)
    assert usage.runs == {"load": 2, "send": 3}
    assert usage.transitions >= 2 + 1 + 3 + 1


def test_choices_take_the_way_with_the_most_runs_and_loops_count_once() -> None:
    task = {"Type": "Task", "Resource": "${partition}:states:::ecs:runTask.sync"}
    states: dict[str, Any] = {
        "which": {"Type": "Choice", "Choices": [{"Next": "short"}, {"Next": "long"}], "Default": "short"},
        "short": {"Type": "Pass", "End": True},
        "long": {**task, "Parameters": {"TaskDefinition": "${task:load}"}, "Next": "back"},
        "back": {"Type": "Pass", "Next": "which"},
    }
    usage = measure_definition({"StartAt": "which", "States": states})
    assert usage == ExecutionUsage(3 + 1, {"load": 1})


def test_parallel_branches_and_nested_distributed_maps() -> None:
    item = {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "a", "States": _chain("a")}
    branch = {"StartAt": "each", "States": {"each": {"Type": "Map", "ItemProcessor": item, "End": True}}}
    definition = {
        "StartAt": "both",
        "States": {
            "both": {
                "Type": "Parallel",
                "Branches": [branch, {"StartAt": "x", "States": _chain("x", "y")}],
                "End": True,
            }
        },
    }
    assert measure_definition(definition).transitions == 1 + (1 + 1) + 2 + 1
    assert list_distributed_maps(definition) == ["each"]


@pytest.mark.parametrize("overlap", ["allow", "skip", "queue", "replace"])
def test_the_check_of_the_overlap_policy_counts_as_synthesized(overlap: Overlap) -> None:
    catalog = Catalog("app", image=Image("app"))
    load = catalog.task("load", command=["load"], config=Settings)
    workflow = catalog.workflow("w", Steps(RunTask(load)), overlap=overlap)
    deployed, passed = apply_policy(workflow), []
    at = deployed["StartAt"]
    while at != workflow.definition["StartAt"]:  # the way of an execution without an earlier one
        passed.append(at)
        at = deployed["States"][at].get("Default") or deployed["States"][at]["Next"]
    assert len(passed) == count_overlap_transitions(overlap)
