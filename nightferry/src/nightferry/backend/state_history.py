"""The states that an execution entered, derived from its history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nightferry.backend.interface import StateExecution
from nightferry.contract import parse_arn_id
from nightferry.states.machine.history import HistoryEvent

_SCHEDULED = ("TaskScheduled", "LambdaFunctionScheduled", "ActivityScheduled")
_FAILED = (
    "TaskFailed",
    "TaskTimedOut",
    "TaskStartFailed",
    "TaskSubmitFailed",
    "LambdaFunctionFailed",
    "ActivityFailed",
)
_SUCCEEDED = ("TaskSucceeded", "LambdaFunctionSucceeded", "ActivitySucceeded")


@dataclass
class _OpenState:
    name: str
    type: str
    entered_at: datetime
    depth: int
    exited_at: datetime | None = None
    failed: bool = False
    error: str | None = None
    attempts: int = 0
    runs: list[str] = field(default_factory=list)


def state_history(history: Iterable[HistoryEvent]) -> list[StateExecution]:
    """Return the entered states in order, with their times, attempts, last errors and runs."""
    found: list[_OpenState] = []
    open_in: dict[str, _OpenState] = {}  # scope of a branch or iteration → its current state
    for event in history:
        scope = (event.engine or {}).get("scope", "")
        details = event.details or {}
        if event.type.endswith("StateEntered"):
            state = _OpenState(
                details.get("name", ""),
                event.type.removesuffix("StateEntered"),
                event.timestamp,
                scope.count("/"),  # "/2/0": branch 0 of iteration 2,
            )
            open_in[scope] = state
            found.append(state)
        elif (state_or_none := open_in.get(scope)) is not None:
            _record_event(state_or_none, event, details)
            if state_or_none.type in ("Parallel", "Map") and event.type.endswith(("StateStarted", "StateExited")):
                # After a retry, and after a caught failure, the branches that were stopped do not continue.
                for key in [key for key in open_in if key.startswith(f"{scope}/")]:
                    _stop(open_in.pop(key), event)
            if event.type.endswith("StateExited"):
                del open_in[scope]
        # An execution or a child execution of a distributed Map ends or is redriven, with its branches and iterations.
        if event.type == "ExecutionRedriven":
            for state in _list_within(open_in, scope):
                state.failed, state.exited_at, state.error = False, None, None
        if event.type in ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"):
            for state in _list_within(open_in, scope):
                _stop(state, event)
    return [
        StateExecution(
            state.name,
            state.type,
            state.entered_at,
            state.exited_at,
            state.failed,
            state.error,
            state.attempts,
            state.depth,
            tuple(state.runs),
        )
        for state in found
    ]


def _list_within(open_in: dict[str, _OpenState], scope: str) -> list[_OpenState]:
    return [state for key, state in open_in.items() if key == scope or key.startswith(f"{scope}/")]


def _stop(state: _OpenState, event: HistoryEvent) -> None:
    state.failed, state.exited_at = True, event.timestamp
    state.error = state.error or (event.details or {}).get("error")


def find_failed_step(history: Sequence[HistoryEvent]) -> str | None:
    """Return the innermost state that failed, or the last one that was running when the execution was stopped.

    The events of a failure lead back, each to its previous event, to the state that failed. An execution that was
    stopped or timed out has no such chain. :func:`nightferry.lambdas.failure_notice.find_failed_step` is its twin.
    """
    events = {event.id: event for event in history if not event.child}
    event = history[-1] if history else None
    while event is not None and not event.type.endswith("StateExited"):
        details = event.details or {}
        if event.type == "EvaluationFailed" and details.get("state"):
            return str(details["state"])
        if event.type.endswith("StateEntered"):
            return str(details.get("name", ""))
        before = events.get(event.previous_event_id)
        event = before if before is not None and before.id < event.id else None
    unfinished = [state for state in state_history(history) if state.exited_at is None or state.failed]
    return unfinished[-1].name if unfinished else None


def explain_cause(cause: str) -> str:
    """Return a cause in plain words: of a task that failed, the cause of its step is ECS's description of the task.

    :func:`nightferry.lambdas.failure_notice.explain_cause` is its twin.
    """
    try:
        task = json.loads(cause)
        containers = task["Containers"]
        failed = next((one for one in containers if one.get("ExitCode") != 0), containers[0])
        code, family = failed.get("ExitCode"), str(task.get("Group") or "").partition(":")[2]
        reasons = [str(reason).rstrip(".") for reason in (failed.get("Reason"), task.get("StoppedReason")) if reason]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return cause
    if code is not None:
        end = f"ended with exit code {code}"
        reasons = [reason for reason in reasons if reason != "Essential container in task exited"]
    else:
        end = "was stopped" if task.get("StartedAt") else "did not start"
    return f"Task {family or '(unknown)'} {end}" + "".join(f": {'. '.join(reasons)}" for _ in reasons[:1]) + "."


def _list_tasks(output: Any) -> list[str]:
    """Return the IDs of the ECS tasks in the output of a call; none if it started no tasks."""
    try:
        return [parse_arn_id(str(task["TaskArn"])) for task in json.loads(output)["Tasks"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _record_event(state: _OpenState, event: HistoryEvent, details: dict[str, Any]) -> None:
    if event.type in _SCHEDULED:
        state.attempts += 1
    elif event.type == "TaskSubmitted":
        state.runs += _list_tasks(details.get("output"))
    elif event.type in _FAILED:
        state.failed, state.error = True, details.get("error")
    elif event.type in _SUCCEEDED:
        state.failed, state.error = False, None
    elif event.type == "FailStateEntered":
        state.failed = True
    elif event.type.endswith("StateExited"):
        state.exited_at = event.timestamp
