from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nightferry.states import (
    CancelTask,
    ContextInfo,
    Execution,
    InvalidInput,
    NotRedrivable,
    StartTask,
    StatesError,
    TaskFailed,
    TaskHeartbeat,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    UnknownResource,
    run,
)
from tests.states.machines import FUNCTION, INVOKE, RUN_TASK, details, one, types

START = datetime(2026, 11, 24, tzinfo=UTC)


def failing(*errors: str | None) -> Callable[[Any], Any]:
    """Return a task that fails with these errors in order; it succeeds for None and in later calls."""
    left = list(errors)

    def call(parameters: Any) -> Any:
        error = left.pop(0) if left else None
        if error is not None:
            raise StatesError(error, f"cause of {error}")
        return {"ok": True}

    return call


def task(**fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": INVOKE, **fields}


def test_the_events_of_an_integration() -> None:
    state = task(Resource=RUN_TASK, Parameters={"Cluster": "c", "Id.$": "$$.Execution.Id"}, TimeoutSeconds=9)

    result = run(one(state), {"a": 1}, tasks={RUN_TASK: lambda parameters: {"got": parameters}})

    assert types(result) == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    assert [event["previousEventId"] for event in result.history] == [0, 0, 2, 3, 4, 5, 6, 7]
    (scheduled,) = details(result, "TaskScheduled")
    assert scheduled["resource"] == "runTask.sync"
    assert scheduled["resourceType"] == "ecs"
    assert scheduled["timeoutInSeconds"] == 9
    assert scheduled["parameters"].startswith('{"Cluster":"c","Id":"arn:aws:states:')


def test_the_events_of_a_function_and_of_an_activity() -> None:
    activity = "arn:aws:states:us-east-1:000000000000:activity:a"
    for resource, prefix in ((FUNCTION, "LambdaFunction"), (activity, "Activity")):
        result = run(one(task(Resource=resource)), {"a": 1}, tasks={resource: lambda _: 1})

        assert types(result)[2:5] == [f"{prefix}Scheduled", f"{prefix}Started", f"{prefix}Succeeded"]
        assert details(result, f"{prefix}Scheduled")[0]["input"] == '{"a":1}'


def test_the_data_flow_of_a_task() -> None:
    state = task(
        InputPath="$.in",
        Parameters={"n.$": "$.n"},
        ResultSelector={"twice.$": "$.value"},
        ResultPath="$.out",
        OutputPath="$.out",
        Assign={"kept.$": "$.twice"},
        Next="E",
    )
    end = {"Type": "Pass", "Parameters": {"out.$": "$", "kept.$": "$kept"}, "End": True}

    result = run(one(state, E=end), {"in": {"n": 4}}, tasks={INVOKE: lambda p: {"value": p["n"] * 2, "more": 1}})

    assert result.output == {"out": {"twice": 8}, "kept": 8}


def test_an_unknown_resource_is_rejected_before_the_start() -> None:
    with pytest.raises(UnknownResource, match="lambda:invoke"):
        run(one(task()), tasks={RUN_TASK: print})


def test_an_exceptions_class_name_is_the_error() -> None:
    def call(_: Any) -> Any:
        raise KeyError("k")

    result = run(one(task()), tasks={INVOKE: call})

    assert (result.status, result.error, result.cause) == ("FAILED", "KeyError", "'k'")
    assert details(result, "TaskFailed") == [
        {"error": "KeyError", "cause": "'k'", "resource": "invoke", "resourceType": "lambda"}
    ]


# ── Retry ─────────────────────────────────────────────────────────────────────────────────────────────────────


def list_delays(result: Any) -> list[float]:
    """Return the seconds between each failure and the next attempt."""
    times: dict[str, list[datetime]] = {"TaskFailed": [], "TaskScheduled": []}
    for event in result.history:
        if event["type"] in times:
            times[event["type"]].append(datetime.fromisoformat(event["timestamp"]))
    return [(b - a).total_seconds() for a, b in zip(times["TaskFailed"], times["TaskScheduled"][1:], strict=False)]


def test_delays_grow_to_the_maximum() -> None:
    retry = [{"ErrorEquals": ["E"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 4, "MaxDelaySeconds": 20}]

    result = run(one(task(Retry=retry)), tasks={INVOKE: failing("E", "E", "E", "E")})

    assert result.status == "SUCCEEDED"
    assert list_delays(result) == [2, 6, 18, 20]


def test_full_jitter_is_reproducible_and_within_the_delay() -> None:
    retry = [{"ErrorEquals": ["E"], "IntervalSeconds": 100, "JitterStrategy": "FULL", "MaxAttempts": 5}]

    first, second = (
        list_delays(run(one(task(Retry=retry)), tasks={INVOKE: failing(*"EEEEE")}, start=START)) for _ in range(2)
    )

    assert first == second
    assert all(0 <= gap <= 100 * 2**n for n, gap in enumerate(first))
    assert len(set(first)) == 5


def test_each_retrier_has_its_own_count() -> None:
    retry = [
        {"ErrorEquals": ["A"], "MaxAttempts": 2, "IntervalSeconds": 1},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "IntervalSeconds": 5},
    ]

    result = run(one(task(Retry=retry)), tasks={INVOKE: failing("A", "B", "A", "A")})

    assert (result.status, result.error) == ("FAILED", "A")
    assert list_delays(result) == [1, 5, 2]


def test_after_an_exhausted_retrier_catchers_apply_instead_of_the_next_retrier() -> None:
    retry = [{"ErrorEquals": ["A"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 5}]

    assert run(one(task(Retry=retry)), tasks={INVOKE: failing("A")}).status == "FAILED"


def test_retry_counts_restart_when_the_state_is_entered_again() -> None:
    definition = {
        "StartAt": "S",
        "States": {
            "S": task(Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}], ResultPath="$.r", Next="N"),
            "N": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "C"},
            "C": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericLessThan": 2, "Next": "S"}],
                "Default": "E",
            },
            "E": {"Type": "Succeed"},
        },
    }

    result = run(definition, {"n": 0}, tasks={INVOKE: failing("E", None, "E", None)})

    assert result.status == "SUCCEEDED"


def test_the_context_object_contains_the_retry_count() -> None:
    seen = []

    def call(parameters: Any) -> Any:
        seen.append(parameters["retries"])
        raise StatesError("E", None)

    state = task(Parameters={"retries.$": "$$.State.RetryCount"}, Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 2}])
    run(one(state), tasks={INVOKE: call})

    assert seen == [0, 1, 2]


# ── Catch ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("names", "error", "caught"),
    [
        (["States.ALL"], "Mine", True),
        (["States.TaskFailed"], "Mine", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.Timeout"], "States.HeartbeatTimeout", True),
        (["States.ALL"], "States.DataLimitExceeded", True),
        (["States.ALL"], "States.Runtime", False),
        (["States.Runtime"], "States.Runtime", False),
        (["A", "Mine"], "Mine", True),
        (["A"], "Mine", False),
    ],
)
def test_errors_matched_by_a_catcher(names: list[str], error: str, caught: bool) -> None:
    state = task(Catch=[{"ErrorEquals": names, "ResultPath": "$.e", "Next": "C"}], Next="C")

    result = run(one(state, C={"Type": "Pass", "End": True}), {"a": 1}, tasks={INVOKE: failing(error)})

    assert (result.status == "SUCCEEDED") is caught
    if caught:
        assert result.output == {"a": 1, "e": {"Error": error, "Cause": f"cause of {error}"}}


def test_a_result_that_is_too_large_can_be_caught() -> None:
    state = task(Catch=[{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "C"}], Next="C")

    result = run(one(state, C={"Type": "Pass", "End": True}), tasks={INVOKE: lambda _: "x" * 262_145})

    assert result.status == "SUCCEEDED"
    assert result.output["Error"] == "States.DataLimitExceeded"


# ── timeouts ──────────────────────────────────────────────────────────────────────────────────────────────────


def start_task(state: dict[str, Any], data: Any = None, **others: Any) -> tuple[Execution, StartTask]:
    execution = Execution.start(one(state, **others), data, context=ContextInfo(start_time=START))
    (command,) = execution.advance(START).commands
    assert isinstance(command, StartTask)
    return execution, command


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize("limit", [{"TimeoutSeconds": 10}, {"TimeoutSecondsPath": "$.limit"}])
def test_a_task_that_exceeds_its_timeout_is_canceled(limit: dict[str, Any]) -> None:
    execution, command = start_task(task(**limit), {"limit": 10})
    assert command.timeout_seconds == 10
    assert execution.next_wakeup == after(10)
    assert execution.advance(after(9.9)).events == []

    step = execution.advance(after(10))

    assert [event.type for event in step.events] == ["TaskTimedOut", "ExecutionFailed"]
    assert isinstance(step.commands[0], CancelTask)
    assert (execution.error, execution.cause) == ("States.Timeout", None)
    assert not execution.deliver(command.token, TaskSucceeded(1), after(11)), "the outcome is too late"


def test_a_heartbeat_extends_the_deadline() -> None:
    execution, command = start_task(task(HeartbeatSeconds=5))
    execution.deliver(command.token, TaskStarted(), after(1))
    assert execution.next_wakeup == after(6)
    execution.deliver(command.token, TaskHeartbeat(), after(4))
    assert execution.next_wakeup == after(9)

    execution.advance(after(9))

    assert (execution.status, execution.error) == ("FAILED", "States.HeartbeatTimeout")


def test_the_execution_times_out() -> None:
    definition = {**one(task()), "TimeoutSeconds": 7}
    execution = Execution.start(definition, context=ContextInfo(start_time=START))
    execution.advance(START)
    assert execution.next_wakeup == after(7)

    step = execution.advance(after(7))

    assert execution.status == "TIMED_OUT"
    assert [event.type for event in step.events] == ["ExecutionTimedOut"]
    assert [type(command) for command in step.commands] == [CancelTask]


def test_an_aborted_execution_cancels_its_tasks() -> None:
    execution, command = start_task(task())

    execution.abort("Stopped", "by hand", after(1))
    step = execution.advance(after(1))

    assert (execution.status, execution.error, execution.cause) == ("ABORTED", "Stopped", "by hand")
    assert [c.token for c in step.commands if isinstance(c, CancelTask)] == [command.token]
    assert execution.next_wakeup is None


# ── after a crash ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_replayed_execution_restores_its_pending_tasks() -> None:
    definition = one(task(Resource=RUN_TASK, Retry=[{"ErrorEquals": ["States.TaskFailed"]}]))
    info = ContextInfo(start_time=START)
    execution = Execution.start(definition, {"a": 1}, context=info)
    (command,) = execution.advance(START).commands
    assert isinstance(command, StartTask)
    execution.deliver(command.token, TaskStarted(), after(1))
    execution.deliver(command.token, TaskSubmitted({"TaskArn": "t"}), after(2))
    execution.advance(after(2))

    copy = Execution.replay(definition, execution.history, context=info)

    (pending,) = copy.pending_tasks
    assert (pending.token, pending.started, pending.submitted) == (command.token, True, {"TaskArn": "t"})
    assert pending.command == command
    copy.deliver(pending.token, TaskFailed("States.TaskFailed", "the engine stopped"), after(3))
    assert copy.advance(after(3)).commands == []
    (again,) = copy.advance(after(4)).commands
    assert isinstance(again, StartTask)
    assert again.token != command.token


def test_a_task_receives_its_token() -> None:
    wait = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    execution, command = start_task(task(Resource=wait, Parameters={"token.$": "$$.Task.Token"}))

    assert command.parameters == {"token": command.token}
    assert execution.deliver(command.token, TaskSucceeded("done"), after(5))
    execution.advance(after(5))
    assert execution.output == "done"


# ── redrive ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_redrive_continues_at_the_failed_state() -> None:
    definition = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Task", "Resource": FUNCTION, "ResultPath": "$.a", "Assign": {"v": 1}, "Next": "B"},
            "B": task(
                Parameters={"v.$": "$v", "redrives.$": "$$.Execution.RedriveCount"},
                Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}],
                End=True,
            ),
        },
    }
    info = ContextInfo(start_time=START)
    execution = Execution.start(definition, {}, context=info)
    tokens = []

    def deliver(outcome: Any, now: datetime) -> None:
        (command,) = (c for c in execution.advance(now).commands if isinstance(c, StartTask))
        tokens.append(command.token)
        execution.deliver(command.token, outcome, now)

    deliver(TaskSucceeded("done"), START)
    deliver(TaskFailed("E"), START)
    execution.advance(START)
    deliver(TaskFailed("E"), after(1))
    execution.advance(after(1))
    assert execution.status == "FAILED"
    ended = len(execution.history)

    execution.redrive(after(60))

    assert execution.status == "RUNNING"
    assert execution.history[-1].type == "ExecutionRedriven"
    copy = Execution.replay(definition, execution.history, context=info)
    (again,) = execution.advance(after(60)).commands
    assert copy.advance(after(60)).commands == [again]
    assert isinstance(again, StartTask)
    assert again.parameters == {"v": 1, "redrives": 1}
    assert again.token not in tokens
    accepted = copy.deliver(again.token, TaskSucceeded(5), after(61))
    copy.advance(after(61))
    assert accepted
    assert (copy.status, copy.output) == ("SUCCEEDED", 5)
    assert [event.type for event in copy.history[ended:]] == [
        "ExecutionRedriven",
        "TaskScheduled",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def test_a_redrive_after_a_timeout_does_not_repeat_successful_branches() -> None:
    branches = [
        {"StartAt": name, "States": {name: {"Type": "Task", "Resource": FUNCTION, "End": True}}} for name in "AB"
    ]
    definition = {**one({"Type": "Parallel", "Branches": branches}), "TimeoutSeconds": 10}
    execution = Execution.start(definition, context=ContextInfo(start_time=START))
    first, second = execution.advance(START).commands
    assert isinstance(first, StartTask)
    assert isinstance(second, StartTask)
    execution.deliver(first.token, TaskSucceeded(1), after(5))
    execution.advance(after(10))
    assert execution.status == "TIMED_OUT"

    execution.redrive(after(20))
    (again,) = execution.advance(after(20)).commands

    assert isinstance(again, StartTask)
    assert again.state_name == "B"
    assert execution.next_wakeup == after(30)
    execution.deliver(again.token, TaskSucceeded(2), after(21))
    execution.advance(after(21))
    assert execution.output == [1, 2]


def test_a_running_execution_cannot_be_redriven() -> None:
    execution, _ = start_task(task())

    with pytest.raises(NotRedrivable, match="RUNNING"):
        execution.redrive(after(1))


# ── invalid data ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", ["x" * 262_144, {"a": {1}}, float("nan")])
def test_an_input_that_is_too_large_or_not_json_is_rejected(data: Any) -> None:
    with pytest.raises(InvalidInput):
        run(one({"Type": "Pass"}), data)


def test_a_task_fails_if_its_result_is_not_json() -> None:
    result = run(one(task()), tasks={INVOKE: lambda _: {1, 2}})

    assert (result.status, result.error) == ("FAILED", "TypeError")


def test_a_callable_cannot_change_the_machines_data() -> None:
    def call(parameters: Any) -> Any:
        parameters["items"].append(3)
        return (1, 2)

    result = run(one(task(ResultPath="$.r")), {"items": [1]}, tasks={INVOKE: call})

    assert result.output == {"items": [1], "r": [1, 2]}


@pytest.mark.parametrize(
    "value",
    ["²", "--5", "-", "", "9" * 5000, "１２", 10**30, 1e30, "1.5", True, None, [], "1e3"],
    ids=lambda v: str(v)[:9],
)
@pytest.mark.parametrize("field", ["SecondsPath", "TimeoutSecondsPath"])
def test_seconds_that_are_no_number_of_seconds(field: str, value: Any) -> None:
    state = {"Type": "Wait"} if field == "SecondsPath" else {"Type": "Task", "Resource": INVOKE}

    result = run(one({**state, field: "$.s"}), {"s": value}, tasks={INVOKE: dict})

    assert (result.status, result.error) == ("FAILED", "States.Runtime")
