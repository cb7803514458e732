"""Parallel, inline Map, variables and their scopes."""

from __future__ import annotations

from typing import Any

import pytest

from nightferry.states import StatesError, run
from tests.states.machines import INVOKE, details, endless, one, types


def branch(name: str, **fields: Any) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: {"Type": "Pass", "End": True, **fields}}}


def failing_branch(name: str, error: str) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: {"Type": "Fail", "Error": error, "Cause": "c"}}}


def test_a_parallel_state_collects_its_branches_in_order() -> None:
    slow = {
        "StartAt": "W",
        "States": {"W": {"Type": "Wait", "Seconds": 9, "Next": "X"}, "X": {"Type": "Pass", "Result": 1, "End": True}},
    }
    result = run(one({"Type": "Parallel", "Branches": [slow, branch("B", Result=2)], "ResultPath": "$.r"}), {"a": 0})

    assert result.output == {"a": 0, "r": [1, 2]}
    kinds = types(result)
    assert kinds[1:3] == ["ParallelStateEntered", "ParallelStateStarted"]
    assert kinds[-3:] == ["ParallelStateSucceeded", "ParallelStateExited", "ExecutionSucceeded"]


def test_a_failed_branch_stops_the_other_branches() -> None:
    waiting = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 9, "End": True}}}

    result = run(one({"Type": "Parallel", "Branches": [waiting, failing_branch("F", "Boom")]}))

    assert (result.error, result.cause) == ("Boom", "c")
    assert types(result)[-2:] == ["ParallelStateFailed", "ExecutionFailed"]
    assert "WaitStateExited" not in types(result)


def test_a_parallel_state_is_retried_as_a_whole() -> None:
    calls = []

    def call(_: Any) -> int:
        calls.append(1)
        if len(calls) < 3:
            raise StatesError("Boom", None)
        return len(calls)

    task = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": INVOKE, "End": True}}}
    state = {"Type": "Parallel", "Branches": [task, branch("B")], "Retry": [{"ErrorEquals": ["Boom"]}]}

    result = run(one(state), {}, tasks={INVOKE: call})

    assert result.output == [3, {}]
    assert types(result).count("ParallelStateStarted") == 3
    assert "ParallelStateFailed" not in types(result)


def test_a_failed_branch_can_be_caught() -> None:
    state = {
        "Type": "Parallel",
        "Branches": [failing_branch("F", "Boom")],
        "Catch": [{"ErrorEquals": ["Boom"], "ResultPath": "$.error", "Next": "C"}],
    }

    result = run(one({**state, "Next": "C"}, C={"Type": "Pass", "End": True}), {"a": 1})

    assert result.output == {"a": 1, "error": {"Error": "Boom", "Cause": "c"}}


def test_branches_read_outer_variables_and_keep_their_own() -> None:
    definition: dict[str, Any] = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "P"},
            "P": {
                "Type": "Parallel",
                "Branches": [branch("B", Assign={"y": 2}, Parameters={"x.$": "$x"})],
                "Assign": {"x": 3},
                "Next": "Z",
            },
            "Z": {"Type": "Pass", "Parameters": {"x.$": "$x", "r.$": "$", "y.$": "$y"}, "End": True},
        },
    }

    result = run(definition)

    assert result.error == "States.Runtime"
    assert "$y" in str(result.cause)
    del definition["States"]["Z"]["Parameters"]["y.$"]
    assert run(definition).output == {"x": 3, "r": [{"x": 1}]}


def test_variables_are_assigned_simultaneously() -> None:
    definition = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Assign": {"a": 1, "b": 2}, "Next": "B"},
            "B": {"Type": "Pass", "Assign": {"a.$": "$b", "b.$": "$a"}, "Next": "C"},
            "C": {"Type": "Pass", "Parameters": {"a.$": "$a", "b.$": "$b"}, "End": True},
        },
    }

    assert run(definition).output == {"a": 2, "b": 1}


def test_a_map_runs_iterations_up_to_its_concurrency() -> None:
    state = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 2,
        "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "all.$": "$.items"},
        "ItemProcessor": {
            "StartAt": "W",
            "States": {
                "W": {"Type": "Wait", "Seconds": 1, "Next": "P"},
                "P": {"Type": "Pass", "OutputPath": "$.v", "End": True},
            },
        },
    }

    result = run(one(state), {"items": ["a", "b", "c", "d", "e"]})

    assert result.output == ["a", "b", "c", "d", "e"]
    running = most = 0
    for kind in types(result):
        running += (kind == "MapIterationStarted") - (kind == "MapIterationSucceeded")
        most = max(most, running)
    assert most == 2


def test_a_failed_item_selector_fails_the_map_and_can_be_retried() -> None:
    state = {
        "Type": "Map",
        "MaxConcurrency": 1,
        "ItemSelector": {"v.$": "States.StringToJson($$.Map.Item.Value)"},
        "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}},
        "Retry": [{"ErrorEquals": ["States.IntrinsicFailure"], "MaxAttempts": 1}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}],
        "Next": "C",
    }

    result = run(one(state, C={"Type": "Pass", "End": True}), ["1", "{"])

    assert result.output["Error"] == "States.IntrinsicFailure"
    assert types(result).count("MapStateStarted") == 2
    assert types(result).count("MapStateFailed") == 1


def test_a_map_within_a_map() -> None:
    inner = {
        "Type": "Map",
        "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}},
        "End": True,
    }
    outer = {"Type": "Map", "ItemProcessor": {"StartAt": "M", "States": {"M": inner}}}

    assert run(one(outer), [[1, 2], [], [3]]).output == [[1, 2], [], [3]]


def test_items_that_are_not_an_array() -> None:
    processor = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}

    result = run(one({"Type": "Map", "ItemsPath": "$.x", "ItemProcessor": processor}), {"x": 1})

    assert result.error == "States.Runtime"
    assert '"$.x" must point to array' in str(result.cause)
    assert types(result)[-2:] == ["MapStateEntered", "ExecutionFailed"]


def test_a_runtime_error_in_a_branch_ends_the_execution() -> None:
    bad = {"StartAt": "B", "States": {"B": {"Type": "Pass", "Parameters": {"x.$": "$.no"}, "End": True}}}
    state = {
        "Type": "Map",
        "ItemProcessor": bad,
        "Retry": [{"ErrorEquals": ["States.ALL"]}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}],
        "Next": "C",
    }

    result = run(one(state, C={"Type": "Succeed"}), [1, 2])

    assert result.error == "States.Runtime"
    assert types(result)[-2:] == ["PassStateEntered", "ExecutionFailed"]
    assert result.history[-1]["previousEventId"] == result.history[-2]["id"]


def test_an_endless_execution_fails_at_the_history_limit() -> None:
    result = run(endless())

    assert result.status == "FAILED"
    assert "25000" in str(result.cause)
    assert len(result.history) == 25_000
    assert details(result, "ExecutionFailed")[0]["error"] == "States.Runtime"


@pytest.mark.parametrize("field", ["ToleratedFailureCount", "ToleratedFailurePercentage"])
def test_an_inline_map_tolerates_no_failure(field: str) -> None:
    fail = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Mine"}}}
    for tolerated in ({field: 100}, {f"{field}Path": "$.missing"}):
        state = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": fail, **tolerated}
        assert run(one(state), {"items": [1]}).error == "Mine"
