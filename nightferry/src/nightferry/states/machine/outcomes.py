"""What the outside tells of a task, and what is recorded of one that still runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nightferry.states.data.errors import StatesError
from nightferry.states.data.payload import Json, Payload
from nightferry.states.language import resources
from nightferry.states.language.model import Task
from nightferry.states.machine import flow, fold
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
from nightferry.states.machine.frames import Frame
from nightferry.states.machine.work import family

if TYPE_CHECKING:
    from nightferry.states.machine.interpreter import Execution


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


def pending(token: str, frame: Frame) -> PendingTask | None:
    """The task that the frame waits for; None if it is no task (but a Map's items or results)."""
    state, event = frame.current, frame.scheduled
    if not isinstance(state, Task):
        return None
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
        started=frame.task_started,
        submitted=None if frame.submitted is None else frame.submitted.value,
        command=StartTask(token, state.resource, parameters, state.name, *limits),
    )


def take(execution: Execution, frame: Frame, outcome: Outcome) -> None:
    """Record what came of the frame's task."""
    kind, named = _named(frame)
    match outcome:
        case TaskHeartbeat():
            fold.beat(execution, frame, execution.now)
            return
        case TaskStarted():
            execution.emit(frame, f"{kind}Started", named or None)
            return
        case TaskSubmitted(output=output):
            _told(execution, frame, f"{kind}Submitted", Payload(output), named)
            return
        case TaskSucceeded(output=output):
            payload = Payload(output)
            try:
                flow.check_size(frame.current.name, payload)
            except StatesError as error:
                execution.emit(frame, f"{kind}Failed", reasons(error.error, error.cause) | named)
            else:
                _told(execution, frame, f"{kind}Succeeded", payload, named)
        case TaskFailed(error=name, cause=cause, stage=stage):
            execution.emit(frame, f"{kind}{stage}Failed", reasons(name, cause) | named)
        case TaskTimedOut(error=name, cause=cause):
            execution.emit(frame, f"{kind}TimedOut", reasons(name, cause) | named)
    execution.make_ready(frame)


def time_out(execution: Execution, frame: Frame) -> None:
    """The task took longer than its state allows, or sent no heartbeat for too long."""
    kind, named = _named(frame)
    late = frame.deadline is not None and execution.now >= frame.deadline
    assert isinstance(frame.current, Task)
    execution.command(CancelTask(frame.token, frame.current.resource, "The task took longer than its state allows."))
    error = "States.Timeout" if late else "States.HeartbeatTimeout"
    execution.emit(frame, f"{kind}TimedOut", {"error": error} | named)


def _named(frame: Frame) -> tuple[str, dict[str, Any]]:
    """How the types of the task's events begin, and what their details say of the resource."""
    assert isinstance(frame.current, Task)
    resource = resources.parse(frame.current.resource)
    if resource.kind != "integration":
        return family(resource), {}
    return family(resource), {"resource": resource.action, "resourceType": resource.type}


def _told(execution: Execution, frame: Frame, kind: str, payload: Payload, named: dict[str, Any]) -> None:
    details = {"output": payload.text, "outputDetails": {"truncated": False}, **named}
    execution.emit(frame, kind, details, payload=payload)


def reasons(error: str | None, cause: str | None) -> dict[str, Any]:
    """Error and cause as details have them: left out where there is none."""
    return {name: value for name, value in (("cause", cause), ("error", error)) if value is not None}
