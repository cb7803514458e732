"""Why an execution failed: the state that failed, and its cause in plain words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from nightferry.backend.states.reader import StateReader
from nightferry.backend.states.values import StateExecution
from nightferry.contract import EXITED_REASON
from nightferry.states.machine.history import HistoryEvent


def state_history(history: Iterable[HistoryEvent]) -> list[StateExecution]:
    """Return the entered states in order, with their times, attempts, last errors and runs."""
    reader = StateReader()
    reader.add(history)
    return reader.list_states()


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
        reasons = [reason for reason in reasons if reason != EXITED_REASON]
    else:
        end = "was stopped" if task.get("StartedAt") else "did not start"
    return f"Task {family or '(unknown)'} {end}" + "".join(f": {'. '.join(reasons)}" for _ in reasons[:1]) + "."
