"""Results of tasks from a file, instead of the tasks."""

from __future__ import annotations

from typing import Any

import pytest

from nightferry.states import InvalidResults, NoResultLeft, run
from tests.states.machine.test_distributed_map import distributed
from tests.states.machines import one, types

RETRY = [{"ErrorEquals": ["Busy", "States.Timeout"], "IntervalSeconds": 86_400, "MaxAttempts": 2}]


def task(resource: str = "arn:aws:states:::lambda:invoke", **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, "End": True, **fields}


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:states:::ecs:runTask.sync",
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "arn:aws:states:us-east-1:1:activity:a",
        "arn:aws:lambda:us-east-1:1:function:f",
    ],
)
def test_each_attempt_takes_the_next_result(resource: str) -> None:
    results = {"S": [{"error": "Busy"}, {"error": "States.Timeout", "cause": "late"}, {"value": {"n": 1}}]}

    result = run(one(task(resource, Retry=RETRY)), results=results)

    assert (result.status, result.output) == ("SUCCEEDED", {"n": 1})
    assert len([name for name in types(result) if name.endswith("TimedOut")]) == 1


def test_one_result_is_that_of_all_attempts() -> None:
    result = run(one(task(Retry=RETRY)), results={"S": {"error": "Busy", "cause": "x"}})

    assert (result.error, result.cause, types(result).count("TaskScheduled")) == ("Busy", "x", 3)


def test_iterations_take_results_in_the_order_of_their_starts() -> None:
    state = {"Type": "Map", "ItemProcessor": {"StartAt": "T", "States": {"T": task()}}, "End": True}

    assert run(one(state), [1, 2], results={"T": [{"value": "a"}, {"value": "b"}]}).output == ["a", "b"]


@pytest.mark.parametrize("items", [[1, 2], {"k": 3}])
def test_the_items_of_a_map_are_a_result(items: Any) -> None:
    place = {"Parameters": {"Bucket": "b", "Prefix": "p"}}
    state = distributed(
        ItemReader={"Resource": "arn:aws:states:::s3:listObjectsV2", **place},
        ResultWriter={"Resource": "arn:aws:states:::s3:putObject", **place},
        ResultSelector={"bucket.$": "$.ResultWriterDetails.Bucket"},
    )

    assert run(one(state), results={"S": {"value": items}}).output == {"bucket": "b"}
    assert run(one(state), results={"S": {"error": "x", "cause": "no bucket"}}).error == "States.ItemReaderFailed"
    with pytest.raises(InvalidResults, match="S: the value must be the items"):
        run(one(state), results={"S": {"value": 7}})


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ({"S": [{"error": "Busy"}]}, "'S' has 1 results and was started 2 times. Add a result for this attempt"),
        ({"S": []}, "'S' has 0 results and was started 1 times"),
        ({}, "'S' has no result. Add it to the results"),
    ],
)
def test_a_state_has_no_result_left(results: Any, reason: str) -> None:
    with pytest.raises(NoResultLeft, match=reason):
        run(one(task(Retry=RETRY)), results=results)


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ({"B": {"value": 1}}, "'B' is not a state that needs a result. Such states are: S"),
        ({"S": 7}, 'S must be {"value": …} or {"error": NAME, "cause": TEXT}'),
        ({"S": [{"value": 1}, {"value": 1, "error": "E"}]}, r"S\[1\] must be"),
        ({"S": {"error": 3}}, "S must be"),
        ({"S": {"cause": "x"}}, "S must be"),
        ({"S": {}}, "S must be"),
        ({"S": None}, "S must be"),
        ([], "The results must be an object"),
        ("x", "The results must be an object"),
    ],
)
def test_invalid_results(results: Any, reason: str) -> None:
    with pytest.raises(InvalidResults, match=reason):
        run(one(task()), results=results)
