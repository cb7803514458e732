"""Express workflows: context object, limits and refused states (developer guide, "Choosing workflow type")."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nightferry.states import Execution, InvalidDefinition, NotRedrivable, parse, run, validate
from nightferry.states.machine import interpreter
from tests.states.machine.test_distributed_map import distributed
from tests.states.machines import one
from tests.states.replays import INFO, START, check_replay

ID = re.compile(
    r"arn:aws:states:us-east-1:0{12}:express:state-machine:execution:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


def waiting(seconds: int) -> dict[str, Any]:
    return one({"Type": "Wait", "Seconds": seconds, "End": True})


def test_the_context_object_has_the_arn_of_an_express_execution() -> None:
    definition = one(
        {"Type": "Pass", "Parameters": {"id.$": "$$.Execution.Id", "m.$": "$$.StateMachine.Id"}, "End": True}
    )

    output = run(definition, workflow_type="EXPRESS").output

    assert ID.fullmatch(output["id"])
    assert output["m"] == "arn:aws:states:us-east-1:000000000000:stateMachine:state-machine"
    assert ":execution:" in run(definition).output["id"]


def test_an_execution_ends_after_five_minutes() -> None:
    assert run(waiting(299), workflow_type="EXPRESS").status == "SUCCEEDED"
    result = run(waiting(301), workflow_type="EXPRESS")
    assert (result.status, result.history[-1]["type"]) == ("TIMED_OUT", "ExecutionTimedOut")
    assert run(waiting(60) | {"TimeoutSeconds": 30}, workflow_type="EXPRESS").status == "TIMED_OUT"
    assert run(waiting(301) | {"TimeoutSeconds": 900}, workflow_type="EXPRESS").status == "TIMED_OUT"
    assert run(waiting(301)).status == "SUCCEEDED"


def test_the_history_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "HISTORY_LIMIT_EVENTS", 5)
    definition = one({"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Next": "C"}, C={"Type": "Pass", "End": True})

    assert run(definition).status == "FAILED"
    assert run(definition, workflow_type="EXPRESS").status == "SUCCEEDED"


def test_an_execution_cannot_be_redriven() -> None:
    execution = Execution.start(parse(one({"Type": "Fail"}), "EXPRESS"))
    execution.advance(execution.now)

    with pytest.raises(NotRedrivable, match="Express"):
        execution.redrive(execution.now)


TASK = {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "End": True}


@pytest.mark.parametrize(
    ("state", "path", "reason"),
    [
        (TASK, "$.States.A.Resource", "without .sync"),
        (
            TASK | {"Resource": "arn:aws:states:::states:startExecution.sync:2"},
            "$.States.A.Resource",
            "without .sync:2",
        ),
        (TASK | {"Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"}, "$.States.A.Resource", "TaskToken"),
        (TASK | {"Resource": "arn:aws:states:us-east-1:1:activity:a"}, "$.States.A.Resource", "activity"),
        (distributed(End=True), "$.States.A", "distributed Map"),
        (
            {"Type": "Parallel", "End": True, "Branches": [{"StartAt": "B", "States": {"B": TASK}}]},
            "$.States.A.Branches[0].States.B.Resource",
            ".sync",
        ),
    ],
)
def test_states_that_need_a_standard_workflow(state: dict[str, Any], path: str, reason: str) -> None:
    definition = {"StartAt": "A", "States": {"A": state}}

    assert validate(definition) == []
    [problem] = validate(definition, "EXPRESS")
    assert problem.path == path
    assert reason in problem.message
    with pytest.raises(InvalidDefinition):
        run(definition, workflow_type="EXPRESS", tasks={TASK["Resource"]: lambda _: 1})


def test_express_children_of_a_distributed_map() -> None:
    read = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Parameters": {"id.$": "$$.Execution.Id"}, "End": True}}}
    state = distributed(read, End=True)
    state["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = "EXPRESS"

    assert all(":express:" in child["id"] for child in run(one(state), [1, 2]).output)

    state["ItemProcessor"] |= {"StartAt": "B", "States": {"B": TASK}}
    assert [problem.path for problem in validate({"StartAt": "A", "States": {"A": state}})] == [
        "$.States.A.ItemProcessor.States.B.Resource"
    ]


def test_an_express_child_ends_after_five_minutes() -> None:
    """Only the children that are too slow fail; a replay after each step equals the live execution."""
    wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "SecondsPath": "$", "End": True}}}
    state = distributed(wait, ToleratedFailureCount=1, MaxConcurrency=1)
    definition = one(state)
    assert run(definition, [301, 299]).output == [301, 299]
    state["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = "EXPRESS"

    execution = Execution.start(definition, [301, 299], context=INFO, now=START)
    execution.advance(START)
    while not execution.ended:
        check_replay(definition, execution)
        assert execution.next_wakeup is not None
        execution.advance(execution.next_wakeup)

    assert (execution.status, execution.output) == ("SUCCEEDED", [299])
    assert (execution.now - START).total_seconds() == 599
    del state["ToleratedFailureCount"]
    assert run(one(state), [301]).error == "States.ExceedToleratedFailureThreshold"
