"""Processing of tasks' outcomes, and the records of tasks that are still running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightferry.states.data.errors import StatesError
from nightferry.states.data.payload import Json, Payload
from nightferry.states.language import resources
from nightferry.states.language.model import TaskState
from nightferry.states.machine import flow
from nightferry.states.machine.commands import (
    CancelTask,
    Outcome,
    StartTask,
    TaskFailed,
    TaskHeartbeat,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    TaskTimedOut,
)
from nightferry.states.machine.failures import make_failure_details
from nightferry.states.machine.machine import Machine
from nightferry.states.machine.memory.frames import Frame
from nightferry.states.machine.work import get_event_prefix


@dataclass(frozen=True, slots=True)
class PendingTask:
    """A task that has not ended: its request and its recorded progress."""

    token: str
    resource: str
    state_name: str
    parameters: Json
    scheduled_at: datetime
    started: bool
    submitted: Json | None
    command: StartTask


def describe_pending(token: str, frame: Frame) -> PendingTask | None:
    """Return the task that the frame waits for, or None if it waits for a Map's items or results."""
    state, awaited = frame.current, frame.awaited
    if not isinstance(state, TaskState):
        return None
    assert awaited is not None
    event = awaited.scheduled
    assert event is not None
    details = event.details or {}
    parameters = Payload(text=details.get("parameters", details.get("input"))).value
    limits = details.get("timeoutInSeconds"), details.get("heartbeatInSeconds")
    return PendingTask(
        token=token,
        resource=state.resource,
        state_name=state.name,
        parameters=parameters,
        scheduled_at=event.timestamp,
        started=awaited.started,
        submitted=None if awaited.submitted is None else awaited.submitted.value,
        command=StartTask(token, state.resource, parameters, state.name, *limits),
    )


def record_outcome(machine: Machine, frame: Frame, outcome: Outcome) -> None:
    """Record an outcome of the frame's task."""
    kind, named = _describe_resource(frame)
    match outcome:
        case TaskHeartbeat():
            # A heartbeat is not an event, so after a replay the interval counts from the task's last event.
            assert frame.awaited is not None
            frame.awaited.beat(machine.now)
            machine.memory.watch(frame)
            return
        case TaskStarted():
            machine.emit(frame, f"{kind}Started", named or None)
            return
        case TaskSubmitted(output=output):
            _emit_output(machine, frame, f"{kind}Submitted", Payload(output), named)
            return
        case TaskSucceeded(output=output):
            payload = Payload(output)
            try:
                flow.check_size(frame.current.name, payload)
            except StatesError as error:
                machine.emit(frame, f"{kind}Failed", make_failure_details(error.error, error.cause) | named)
            else:
                _emit_output(machine, frame, f"{kind}Succeeded", payload, named)
        case TaskFailed(error=name, cause=cause, stage=stage):
            machine.emit(frame, f"{kind}{stage}Failed", make_failure_details(name, cause) | named)
        case TaskTimedOut(error=name, cause=cause):
            machine.emit(frame, f"{kind}TimedOut", make_failure_details(name, cause) | named)
    machine.ready.append(frame)


def time_out(machine: Machine, frame: Frame) -> None:
    """Fail a task that exceeded its timeout or its heartbeat interval, and cancel it."""
    kind, named = _describe_resource(frame)
    assert isinstance(frame.current, TaskState)
    assert frame.awaited is not None
    late = frame.awaited.deadline is not None and machine.now >= frame.awaited.deadline
    machine.add_command(CancelTask(frame.token, frame.current.resource, "The task exceeded a time limit of its state."))
    error = "States.Timeout" if late else "States.HeartbeatTimeout"
    machine.emit(frame, f"{kind}TimedOut", {"error": error} | named)


def _describe_resource(frame: Frame) -> tuple[str, dict[str, Any]]:
    """Return the prefix of the task's event types, and the resource in the format of their details."""
    assert isinstance(frame.current, TaskState)
    resource = resources.parse(frame.current.resource)
    if resource.kind != "integration":
        return get_event_prefix(resource), {}
    return get_event_prefix(resource), {"resource": resource.action, "resourceType": resource.type}


def _emit_output(machine: Machine, frame: Frame, kind: str, payload: Payload, named: dict[str, Any]) -> None:
    details = {"output": payload.text, "outputDetails": {"truncated": False}, **named}
    machine.emit(frame, kind, details, payload=payload)
