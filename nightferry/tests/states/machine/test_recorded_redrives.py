"""A redriven execution has the events that AWS recorded, in the same causal order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from nightferry.states import Execution
from nightferry.states.machine.commands import StartTask, TaskFailed, TaskStarted, TaskSucceeded
from nightferry.states.machine.history import HistoryEvent
from tests.states.recorded import redrives
from tests.states.replays import INFO, START, redrive_both

ACTIVITY = "arn:aws:states:us-west-2:000000000000:activity:probe"


def task(**more: Any) -> dict[str, Any]:
    parameters = {"state.$": "$$.State.Name", "input.$": "$", "execution.$": "$$.Execution"}
    return {"Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 60, "Parameters": parameters, "End": True} | more


def one(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: state}}


def after_choice(name: str, state: dict[str, Any]) -> dict[str, Any]:
    select = {"Type": "Choice", "Choices": [{"Variable": "$.no", "IsPresent": True, "Next": name}], "Default": name}
    return {"StartAt": "Select", "States": {"Select": select, name: state}}


SIBLINGS = [one(name, task()) for name in ("SucceededSibling", "FailedSibling", "AbortedSibling")]
ITEM = {"ProcessorConfig": {"Mode": "INLINE"}} | one("MapItem", task())
CHILD = {
    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    "StartAt": "BeforeTask",
    "States": {
        "BeforeTask": {"Type": "Pass", "Next": "Pause"},
        "Pause": {"Type": "Wait", "Seconds": 8, "Next": "ReadOwnedObject"},
        "ReadOwnedObject": task(Resource="arn:aws:states:::aws-sdk:s3:getObject"),
    },
}
DISTRIBUTED = {
    "StartAt": "BeforeMap",
    "States": {
        "BeforeMap": {"Type": "Pass", "Next": "ProbeMap"},
        "ProbeMap": {
            "Type": "Map",
            "Label": "ProbeMap",
            "ItemsPath": "$.items",
            "MaxConcurrency": 2,
            "ItemProcessor": CHILD,
            "Next": "AfterMap",
        },
        "AfterMap": {"Type": "Pass", "End": True},
    },
}


def run(execution: Execution, fails: set[Any]) -> list[Any]:
    """Run until the execution ends, with calls that end in order. The calls of ``fails`` fail. Return the others.

    A call is named by its item, or by its state in a Parallel.
    """
    done: list[Any] = []
    time = execution.now
    while True:
        step = execution.advance(time)
        calls = [command for command in step.commands if isinstance(command, StartTask)]
        calls.sort(key=lambda call: (name_call(call) in fails, str(name_call(call))))
        for call in calls:
            execution.deliver(call.token, TaskStarted(), time)
        for call in calls:
            if name_call(call) in fails:
                execution.deliver(call.token, TaskFailed("Probe.Retry", "no"), time)
            elif name_call(call) != "AbortedSibling" or not fails:
                execution.deliver(call.token, TaskSucceeded({}), time)
                done.append(call.parameters)
        if execution.ended:
            return done
        if not calls:
            assert execution.next_wakeup is not None
            time = max(time, execution.next_wakeup)


def name_call(call: StartTask) -> Any:
    item = call.parameters["input"]
    return call.parameters["state"] if isinstance(item, dict) else item


def describe_chains(events: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return each event with all events that it follows, sorted.

    Events of workers and of stopped states are left out: the engine has no workers, and does not record the latter.
    """
    chains: dict[int, tuple[str, ...]] = {0: ()}
    found: list[tuple[str, ...]] = []
    for event in events:
        before = chains[event["previousEventId"]]
        kind = event["type"]
        if kind.endswith(("StateAborted", "ActivityStarted", "TaskStarted")):
            chains[event["id"]] = before
            continue
        details = next((value for key, value in event.items() if key.endswith("Details")), None) or {}
        label = " ".join(str(part) for part in (kind, details.get("name"), details.get("index")) if part is not None)
        chains[event["id"]] = (*before, label)
        if not kind.endswith("MapStateExited"):  # see _find_exit_tip
            found.append(chains[event["id"]])
    return sorted(found)


def list_events(history: Iterable[HistoryEvent], child: str = "") -> list[dict[str, Any]]:
    return [event.to_aws() for event in history if event.child.endswith(child) and bool(event.child) == bool(child)]


@pytest.mark.parametrize(
    ("definition", "fails", "recorded"),
    [
        (after_choice("Parallel", {"Type": "Parallel", "Branches": SIBLINGS, "End": True}), "FailedSibling",
         redrives.PARALLEL),
        (after_choice("InlineMap", {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 1, "ItemProcessor": ITEM,
                                    "End": True}), 1, redrives.INLINE_MAP),
        (after_choice("ExplicitFailure", {"Type": "Fail", "Error": "E"}), None, redrives.FAIL),
    ],
    ids=["parallel", "inline map", "fail"],
)  # fmt: skip
def test_a_redriven_execution_has_the_recorded_events(definition: dict[str, Any], fails: Any, recorded: str) -> None:
    execution = Execution.start(definition, {"items": [0, 1, 2]}, context=INFO, now=START)
    run(execution, {fails})
    redrive_both(definition, execution)
    run(execution, set())
    assert describe_chains(list_events(execution.history)) == describe_chains(redrives.read_events(recorded))


def test_a_redriven_map_run_has_the_recorded_events() -> None:
    """The second attempt failed on AWS because the role lacked a permission; here, because the item failed again."""
    execution = Execution.start(DISTRIBUTED, {"items": [0, 1, 2, 3, 4, 5]}, context=INFO, now=START)
    run(execution, {1})
    redrive_both(DISTRIBUTED, execution)
    run(execution, {1})
    redrive_both(DISTRIBUTED, execution)
    run(execution, set())
    assert describe_chains(list_events(execution.history)) == describe_chains(
        redrives.read_events(redrives.DISTRIBUTED_MAP)
    )


def test_a_redriven_child_execution_has_the_recorded_events_and_context() -> None:
    execution = Execution.start(DISTRIBUTED, {"items": [0, 1]}, context=INFO, now=START)
    run(execution, {1})
    redrive_both(DISTRIBUTED, execution)
    (call,) = run(execution, set())
    recorded = f"{redrives.CHILD_EXECUTION}15 TaskStateExited 14 ReadOwnedObject\n16 ExecutionSucceeded 15"
    assert describe_chains(list_events(execution.history, "/1")) == describe_chains(redrives.read_events(recorded))
    redriven = next(event for event in execution.history if event.type == "ExecutionRedriven" and event.child)
    assert call["execution"]["RedriveCount"] == 1
    assert call["execution"]["RedriveTime"] == f"{redriven.timestamp:%Y-%m-%dT%H:%M:%S}.000Z"
