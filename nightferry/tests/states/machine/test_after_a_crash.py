"""Replayed executions whose history does not contain all data that the next step needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from nightferry.states import Execution, ReadItems, StartTask, TaskSucceeded
from tests.states.machines import INVOKE, one
from tests.states.replays import INFO, START, check_replay

WAITING = {
    "StartAt": "W",
    "States": {
        "W": {"Type": "Wait", "Seconds": 3, "Next": "P"},
        "P": {"Type": "Pass", "Parameters": {"item.$": "$$.Map.Item.Value"}, "End": True},
    },
}


def replay(definition: dict[str, Any], execution: Execution) -> Execution:
    return Execution.replay(definition, list(execution.history), context=INFO)


def after(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def test_a_replayed_iteration_has_its_item_in_the_context_object() -> None:
    definition = one({"Type": "Map", "ItemProcessor": WAITING})
    execution = Execution.start(definition, ["a", "b"], context=INFO, now=START)
    execution.advance(START)

    copy = replay(definition, execution)
    copy.advance(after(3))

    assert copy.output == [{"item": "a"}, {"item": "b"}]


def test_a_replayed_map_reads_its_items_again() -> None:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    reader = {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}}
    processor = {"ProcessorConfig": config, **WAITING}
    definition = one({"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": processor, "ItemReader": reader})
    execution = Execution.start(definition, {}, context=INFO, now=START)
    (command,) = execution.advance(START).commands
    execution.deliver(command.token, TaskSucceeded(["a", "b"]), START)
    execution.advance(START)

    copy = replay(definition, execution)
    step = copy.advance(after(1))
    assert step.events == []
    assert step.commands == [command]
    assert isinstance(command, ReadItems)
    copy.deliver(command.token, TaskSucceeded(["a", "b"]), after(2))
    copy.advance(after(3))
    copy.advance(after(6))

    assert copy.output == [{"item": "a"}, {"item": "b"}]


def test_a_replayed_map_derives_its_members_again() -> None:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    parameters = {"item.$": "$$.Map.Item", "id.$": "$$.Execution.Id"}
    later = {"W": WAITING["States"]["W"], "P": {"Type": "Pass", "Parameters": parameters, "End": True}}
    processor = {"ProcessorConfig": config, "StartAt": "W", "States": later}
    definition = one({"Type": "Map", "MaxConcurrency": 1, "ItemsPath": "$.rows", "ItemProcessor": processor})
    execution = Execution.start(definition, {"rows": {"a": 1, "b": 2}}, context=INFO, now=START)
    execution.advance(START)

    copy = replay(definition, execution)
    for one_of_both in (execution, copy):
        one_of_both.advance(after(3))
        one_of_both.advance(after(6))

    assert [child["item"] for child in copy.output] == [
        {"Index": 0, "Key": "a", "Value": 1, "Source": "STATE_DATA"},
        {"Index": 1, "Key": "b", "Value": 2, "Source": "STATE_DATA"},
    ]
    assert copy.output == execution.output


def test_failed_evaluations_count_as_attempts() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}]
    state = {"Type": "Task", "Resource": INVOKE, "Arguments": {"x": "{% $nope %}"}, "Retry": retry}
    definition = {"QueryLanguage": "JSONata", **one(state)}
    execution = Execution.start(definition, {}, context=INFO, now=START)

    for seconds in range(10):
        execution.advance(after(seconds))
        check_replay(definition, execution)
        execution = replay(definition, execution)

    assert execution.status == "FAILED"
    assert [event.type for event in execution.history].count("EvaluationFailed") == 3


def test_a_redrive_repeats_a_state_whose_output_failed() -> None:
    definition = one({"Type": "Task", "Resource": INVOKE, "OutputPath": "$.answer"})
    execution = Execution.start(definition, {}, context=INFO, now=START)
    (command,) = execution.advance(START).commands
    execution.deliver(command.token, TaskSucceeded({}), START)
    execution.advance(START)
    assert (execution.status, execution.error) == ("FAILED", "States.Runtime")

    copy = replay(definition, execution)
    copy.redrive(after(1))
    (again,) = copy.advance(after(1)).commands
    assert isinstance(again, StartTask)
    copy.deliver(again.token, TaskSucceeded({"answer": 6}), after(2))
    copy.advance(after(2))

    assert (copy.status, copy.output) == ("SUCCEEDED", 6)
