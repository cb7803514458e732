"""Execution of the state types that contain no other states."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta

from nightferry.states.data import jsonata
from nightferry.states.data.errors import StatesError
from nightferry.states.data.expressions import Constant, Expression, JsonataExpression, PathExpression
from nightferry.states.data.payload import Json, Payload, dumps
from nightferry.states.data.scope import Scope
from nightferry.states.language import choice, resources
from nightferry.states.language.model import (
    ChoiceState,
    FailState,
    PassState,
    State,
    SucceedState,
    TaskState,
    WaitState,
)
from nightferry.states.machine import flow
from nightferry.states.machine.commands import StartTask
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.memory.frames import Frame

_WAIT_LIMIT = timedelta(seconds=2**31 - 1)  # recorded from AWS: it accepts 24,855 days and rejects 24,856
SECONDS_LIMIT = 99_999_999  # of TimeoutSeconds, HeartbeatSeconds and Seconds
_REGION = "us-east-1"


def do_pass(machine: Machine, frame: Frame) -> None:
    """Run a Pass state."""
    state = frame.current
    assert isinstance(state, PassState)
    result = flow.apply_input_path(machine, frame)
    if state.result is not None:
        result = Payload(state.result.evaluate(flow.make_scope(machine, frame, None), "Result"))
    elif state.parameters is not None:
        scope = flow.make_scope(machine, frame, result.value)
        result = Payload(state.parameters.evaluate(scope, "Parameters"))
    flow.leave(machine, frame, result, state.next)


def do_succeed(machine: Machine, frame: Frame) -> None:
    """Run a Succeed state."""
    flow.leave(machine, frame, flow.apply_input_path(machine, frame), None)


def do_fail(machine: Machine, frame: Frame) -> None:
    """Run a Fail state."""
    state = frame.current
    assert isinstance(state, FailState)
    scope = flow.make_scope(machine, frame, frame.input.value)
    error = _evaluate_text(state.error, scope, "Error")
    cause = _evaluate_text(state.cause, scope, "Cause")
    raise StatesError(error, cause)


def _evaluate_text(expression: Expression | None, scope: Scope, name: str) -> str | None:
    if expression is None:
        return None
    is_path = not isinstance(expression, JsonataExpression | Constant)
    value = expression.evaluate(scope, f"{name}Path" if is_path else name)
    if isinstance(value, str):
        return value
    if isinstance(expression, JsonataExpression):
        raise jsonata.make_type_error(scope, name, expression.source, "string", value)
    raise scope.make_runtime_error(f"The {name}Path field must refer to a string, not to {dumps(value)}")


# ── Wait ──────────────────────────────────────────────────────────────────────────────────────────────────────


def do_wait(machine: Machine, frame: Frame) -> None:
    """Enter a Wait state: set its timer."""
    state = frame.current
    assert isinstance(state, WaitState)
    assert frame.entered_at is not None
    scope = flow.make_scope(machine, frame, flow.apply_input_path(machine, frame).value, now=frame.tip_at)
    if state.seconds is not None:
        delay = timedelta(seconds=min(_evaluate_seconds(state.seconds, scope), 2**31))
    else:
        assert state.timestamp is not None
        delay = _evaluate_timestamp(state.timestamp, scope, frame)
    if delay > _WAIT_LIMIT:
        raise scope.make_runtime_error("Wait state delay is too long.")
    frame.wait_until(frame.entered_at + max(delay, timedelta(0)))
    machine.memory.watch(frame)


def end_wait(machine: Machine, frame: Frame) -> bool:
    """End the wait of a Wait state; return False if it is not over yet."""
    if frame.wake is None or frame.wake > machine.now:
        return False
    frame.end_wait(flow.apply_input_path(machine, frame))
    return True


def _evaluate_seconds(expression: Expression, scope: Scope) -> int:
    value = _evaluate(expression, scope, "SecondsPath" if isinstance(expression, PathExpression) else "Seconds")
    if isinstance(expression, PathExpression):
        text = expression.path.text
        number = _parse_integer(value)
        if isinstance(number, bool) or not isinstance(number, int):
            raise scope.make_runtime_error(
                f"The SecondsPath parameter cannot be parsed as a long value: {text} == {_format_java(value)}"
            )
        if number < 0:
            raise scope.make_runtime_error(f"The SecondsPath parameter references a negative value: {text} == {number}")
        return number
    if isinstance(expression, JsonataExpression):
        if isinstance(value, bool) or not isinstance(value, int):
            raise jsonata.make_type_error(scope, "Seconds", expression.source, "number", value)
        if not 0 <= value <= SECONDS_LIMIT:
            raise jsonata.make_range_error(scope, "Seconds", expression.source, value)
    assert isinstance(value, int)
    return value


def _evaluate_timestamp(expression: Expression, scope: Scope, frame: Frame) -> timedelta:
    value = _evaluate(expression, scope, "TimestampPath" if isinstance(expression, PathExpression) else "Timestamp")
    moment = choice.parse_timestamp(value)
    assert frame.entered_at is not None
    if moment is None:
        if isinstance(expression, PathExpression):
            raise scope.make_runtime_error(
                f"The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format "
                f"string: {expression.path.text} == {_format_java(value)}"
            )
        raise jsonata.make_error(
            scope,
            "Timestamp",
            f"The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: "
            f"{_format_java(value)}",
        )
    return moment[0] - frame.entered_at


_INTEGER = re.compile(r"-?[0-9]{1,19}")


def _parse_integer(value: Json) -> Json:
    """Return the integer that a text contains, or else the value itself."""
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value


def _format_java(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value)


def _evaluate(expression: Expression, scope: Scope, name: str) -> Json:
    if isinstance(expression, PathExpression):
        try:
            return expression.path.find(scope.get_root(expression.path.root))
        except LookupError:
            raise scope.make_runtime_error(
                f"The {name} parameter does not reference an input value: {expression.path.text}"
            ) from None
    return expression.evaluate(scope, name)


# ── Choice ────────────────────────────────────────────────────────────────────────────────────────────────────


def do_choice(machine: Machine, frame: Frame) -> None:
    """Run a Choice state."""
    state = frame.current
    assert isinstance(state, ChoiceState)
    data = flow.apply_input_path(machine, frame)
    scope = flow.make_scope(machine, frame, data.value)
    for index, branch in enumerate(state.choices):
        if branch.rule is not None:
            holds = branch.rule.holds(scope)
        else:
            assert branch.condition is not None
            field = f"Choices[{index}]/Condition"
            value = branch.condition.evaluate(scope, field)
            if not isinstance(value, bool):
                source = branch.condition.source if isinstance(branch.condition, JsonataExpression) else ""
                raise jsonata.make_type_error(scope, field, source, "boolean", value)
            holds = value
        if holds:
            rule = f"Choices[{index}]/"
            flow.leave(machine, frame, data, branch.next, assign=branch.assign, output=branch.output, rule=rule)
            return
    if state.default is None:
        raise StatesError(
            "States.NoChoiceMatched",
            f"{flow.make_cause_prefix(frame)}Failed to transition out of the state. "
            "The state does not point to a next state.",
        )
    flow.leave(machine, frame, data, state.default)


# ── Task ──────────────────────────────────────────────────────────────────────────────────────────────────────


def do_task(machine: Machine, frame: Frame) -> None:
    """Enter a Task state: start its resource."""
    state = frame.current
    assert isinstance(state, TaskState)
    resource = resources.parse(state.resource)
    token = machine.memory.make_token(frame)
    parameters = flow.evaluate_arguments(machine, frame, token=token)
    scope = flow.make_scope(machine, frame, flow.apply_input_path(machine, frame).value, token=token)
    timeout = evaluate_integer(state.timeout, scope, "TimeoutSeconds", 1, SECONDS_LIMIT)
    heartbeat = evaluate_integer(state.heartbeat, scope, "HeartbeatSeconds", 1, SECONDS_LIMIT)
    credentials = None if state.credentials is None else state.credentials.evaluate(scope, "Credentials")
    flow.check_size(state.name, parameters)
    if resource.kind == "integration":
        details: Json = {
            "parameters": parameters.text,
            "region": _REGION,
            "resource": resource.action,
            "resourceType": resource.type,
        }
    else:
        details = {"input": parameters.text, "inputDetails": {"truncated": False}, "resource": resource.arn}
    if timeout is not None:
        details["timeoutInSeconds"] = timeout
    if heartbeat is not None:
        details["heartbeatInSeconds"] = heartbeat
    machine.emit(frame, f"{get_event_prefix(resource)}Scheduled", details, engine=frame.make_retry_details())
    machine.add_command(StartTask(token, state.resource, parameters.value, state.name, timeout, heartbeat, credentials))


def get_event_prefix(resource: resources.TaskResource) -> str:
    """Return the prefix of a task's event types."""
    return {"integration": "Task", "activity": "Activity", "lambda": "LambdaFunction"}[resource.kind]


def evaluate_integer(
    expression: Expression | None, scope: Scope, name: str, least: int, most: float = math.inf
) -> int | None:
    """Return the integer value of a field that is a constant, a path or a JSONata expression."""
    if expression is None:
        return None
    if isinstance(expression, PathExpression):
        name = f"{name}Path"
    value = expression.evaluate(scope, name)
    if isinstance(expression, Constant):
        return int(value)
    number: Json = _parse_integer(value)
    is_integer = isinstance(number, int) and not isinstance(number, bool)
    if isinstance(expression, JsonataExpression):
        if not isinstance(value, int) or isinstance(value, bool):
            raise jsonata.make_type_error(scope, name, expression.source, "number", value)
        if not least <= value <= most:
            raise jsonata.make_range_error(scope, name, expression.source, value)
        return value
    assert isinstance(expression, PathExpression)
    if not is_integer:
        text = value if isinstance(value, str) else dumps(value)
        raise scope.make_runtime_error(
            f'The {name} field refers to value "{text}" which is not a valid integer: {expression.path.text}'
        )
    if number < 0 and name in _NEGATIVE:
        raise scope.make_runtime_error(_NEGATIVE[name].format(number))
    if not least <= number <= most:
        raise scope.make_runtime_error(
            f'The {name} field refers to value "{number}" which is out of range: {expression.path.text}'
        )
    return int(number)


_NEGATIVE = {
    "MaxConcurrencyPath": "Expected non-negative integer for MaxConcurrency, got '{}' instead.",
    "ToleratedFailureCountPath": "ToleratedFailureCount cannot be negative.",
}

WORK: dict[type[State], Callable[[Machine, Frame], None]] = {
    PassState: do_pass,
    SucceedState: do_succeed,
    FailState: do_fail,
    WaitState: do_wait,
    ChoiceState: do_choice,
    TaskState: do_task,
}
"""The function of each state type, which runs after the state is entered and again for each retry."""
