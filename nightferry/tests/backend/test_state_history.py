"""Test the states derived from an execution's history: attempts, end times, errors and runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from nightferry.backend.states.causes import state_history
from nightferry.backend.states.values import StateExecution
from nightferry.states import ContextInfo, Execution, StartTask, TaskFailed, TaskStarted, TaskSubmitted, TaskSucceeded
from nightferry.states.builder import RUN_TASK

START = datetime(2026, 11, 24, 3, tzinfo=UTC)


def execution(definition: dict[str, Any], exit_codes: dict[str, list[int]]) -> list[StateExecution]:
    """Return the states of an execution whose tasks end with these codes, one per second, or else keep running."""
    machine = Execution.start(definition, {}, context=ContextInfo(start_time=START), now=START)
    codes = {state: iter(values) for state, values in exit_codes.items()}
    now, number = START, 0
    for _ in range(100):
        step = machine.advance(now)
        now += timedelta(seconds=1)
        for command in step.commands:
            if not isinstance(command, StartTask):
                continue
            number += 1
            answer = {"Tasks": [{"TaskArn": f"arn:aws:ecs:local:0:task/local/run-{number}"}]}
            machine.deliver(command.token, TaskStarted(), now)
            machine.deliver(command.token, TaskSubmitted(answer), now)
            code = next(codes[command.state_name], None)
            if code is not None:
                outcome = TaskFailed("States.TaskFailed", "{}") if code else TaskSucceeded({})
                machine.deliver(command.token, outcome, now)
    return state_history(machine.history)


def task(**more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": RUN_TASK, "Parameters": {"TaskDefinition": "t"}, **more}


RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]


def test_attempts_belong_to_one_state_that_succeeds() -> None:
    definition = {"StartAt": "A", "States": {"A": task(Retry=RETRY, Next="B"), "B": task(End=True)}}
    first, second = execution(definition, {"A": [1, 1, 0], "B": []})
    assert (first.attempts, first.failed, first.error) == (3, False, None)
    assert first.runs == ("run-1", "run-2", "run-3")
    assert first.entered_at == START
    assert first.exited_at is not None
    assert first.exited_at > START + timedelta(seconds=2)
    assert (second.name, second.exited_at, second.failed, second.runs) == ("B", None, False, ("run-4",))


def test_a_state_that_fails_the_execution_has_its_error() -> None:
    [state] = execution({"StartAt": "A", "States": {"A": task(End=True)}}, {"A": [1]})
    assert (state.failed, state.error, state.attempts) == (True, "States.TaskFailed", 1)
    assert state.exited_at is not None


def test_iterations_have_a_greater_depth_and_separate_runs() -> None:
    processor = {"StartAt": "Each", "States": {"Each": task(End=True)}}
    states = {
        "L": {"Type": "Pass", "Result": [1, 2], "Next": "M"},
        "M": {"Type": "Map", "ItemProcessor": processor, "End": True},
    }
    definition = {"StartAt": "L", "States": states}
    found = execution(definition, {"Each": [0, 0]})
    assert [(state.name, state.type, state.depth) for state in found] == [
        ("L", "Pass", 0),
        ("M", "Map", 0),
        ("Each", "Task", 1),
        ("Each", "Task", 1),
    ]
    assert sorted(state.runs for state in found[2:]) == [("run-1",), ("run-2",)]
    assert all(state.exited_at is not None and not state.failed for state in found)
