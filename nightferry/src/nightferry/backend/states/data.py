"""The data of one pass through a state, read from its events on demand. Lists of states never load it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nightferry.backend.states.values import AttemptData, StateData, StateExecution
from nightferry.contract import parse_arn_id
from nightferry.states.machine.history import HistoryEvent

SCHEDULED = ("TaskScheduled", "LambdaFunctionScheduled", "ActivityScheduled")
STARTED = ("TaskStarted", "LambdaFunctionStarted", "ActivityStarted")
FAILED = (
    "TaskFailed",
    "TaskTimedOut",
    "TaskStartFailed",
    "TaskSubmitFailed",
    "LambdaFunctionFailed",
    "LambdaFunctionTimedOut",
    "LambdaFunctionScheduleFailed",
    "LambdaFunctionStartFailed",
    "ActivityFailed",
    "ActivityTimedOut",
    "ActivityScheduleFailed",
)
SUCCEEDED = ("TaskSucceeded", "LambdaFunctionSucceeded", "ActivitySucceeded")


def make_state_data(state: StateExecution, events: Sequence[HistoryEvent]) -> StateData:
    """Return a pass through a state with the data of its events."""
    attempts: list[AttemptData] = []
    tries = iter(state.tries)
    input, output, exited, cause, truncated = None, None, False, None, False
    for event in events:
        details = event.details or {}
        truncated = truncated or any(
            isinstance(part, dict) and part.get("truncated")
            for name, part in details.items()
            if name.endswith("Details")
        )
        if event.type.endswith("StateEntered"):
            input = _parse(details.get("input"))
        elif event.type in SCHEDULED:
            attempts.append(_describe(next(tries), _parse(details.get("parameters", details.get("input")))))
        elif event.type in ("TaskSubmitted", *SUCCEEDED) and attempts:
            attempts[-1] = _describe(attempts[-1], attempts[-1].parameters, _parse(details.get("output")))
        elif event.type in FAILED and attempts:
            last = attempts[-1]
            attempts[-1] = _describe(last, last.parameters, last.result, details.get("cause"))
        if event.type.endswith("StateExited"):
            output, exited = _parse(details.get("output")), True
        cause = _find_cause(event) or cause
    cause = cause if state.failed else None  # else it is that of an earlier attempt
    return StateData(state, input, output, exited, cause, tuple(attempts), tuple(events), truncated)


def _find_cause(event: HistoryEvent) -> str | None:
    """Return the cause in an event, in its details or in those of the engine."""
    for part in (event.details, event.engine):
        cause = (part or {}).get("cause")
        if isinstance(cause, str) and cause:
            return cause
    return None


def _describe(attempt: Any, parameters: Any, result: Any = None, cause: str | None = None) -> AttemptData:
    times = attempt.scheduled_at, attempt.started_at, attempt.ended_at
    return AttemptData(*times, attempt.error, attempt.runs, parameters, result, cause)


def _parse(text: Any) -> Any:
    """Return the value of JSON; other text, which only a shortened payload has, as it is."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text


def list_tasks(output: Any) -> list[str]:
    """Return the IDs of the ECS tasks in the output of a call; none if it started no tasks."""
    try:
        return [parse_arn_id(str(task["TaskArn"])) for task in json.loads(output)["Tasks"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
