"""The outcomes of tasks, and what is recorded of a task that still runs."""

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
from nightferry.states.machine.work import family


@dataclass(frozen=True, slots=True)
class PendingTask:
    """A task without an end: what was asked for, and what is recorded of it."""

    token: str
    resource: str
    state_name: str
    parameters: Json
    scheduled_at: datetime
    started: bool
    submitted: Json | None
    command: StartTask


def describe_pending(token: str, frame: Frame) -> PendingTask | None:
    """Return the task that the frame waits for; None if it waits for a Map's items or results."""
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
            # Not an event: after a replay, the interval counts from the task's last event.
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
    """The task took longer than its state allows, or sent no heartbeat for too long."""
    kind, named = _describe_resource(frame)
    assert isinstance(frame.current, TaskState)
    assert frame.awaited is not None
    late = frame.awaited.deadline is not None and machine.now >= frame.awaited.deadline
    machine.command(CancelTask(frame.token, frame.current.resource, "The task took longer than its state allows."))
    error = "States.Timeout" if late else "States.HeartbeatTimeout"
    machine.emit(frame, f"{kind}TimedOut", {"error": error} | named)


def _describe_resource(frame: Frame) -> tuple[str, dict[str, Any]]:
    """Return how the types of the task's events begin, and the resource as their details have it."""
    assert isinstance(frame.current, TaskState)
    resource = resources.parse(frame.current.resource)
    if resource.kind != "integration":
        return family(resource), {}
    return family(resource), {"resource": resource.action, "resourceType": resource.type}


def _emit_output(machine: Machine, frame: Frame, kind: str, payload: Payload, named: dict[str, Any]) -> None:
    details = {"output": payload.text, "outputDetails": {"truncated": False}, **named}
    machine.emit(frame, kind, details, payload=payload)
