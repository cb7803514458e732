"""The states that an execution visited, told from its history."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nightferry.backend.interface import StateVisit
from nightferry.contract import id_of
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
class _Visit:
    name: str
    type: str
    entered_at: datetime
    depth: int
    exited_at: datetime | None = None
    failed: bool = False
    error: str | None = None
    attempts: int = 0
    runs: list[str] = field(default_factory=list)


def visits(history: Iterable[HistoryEvent]) -> list[StateVisit]:
    """Each visit with its times, attempts, last error and runs, in the order in which the states were entered."""
    found: list[_Visit] = []
    open_in: dict[str, _Visit] = {}  # the scope of a branch or iteration → the state that it is in
    for event in history:
        scope = (event.engine or {}).get("scope", "")
        details = event.details or {}
        if event.type.endswith("StateEntered"):
            visit = _Visit(
                details["name"],
                event.type.removesuffix("StateEntered"),
                event.timestamp,
                scope.count("/"),  # "/2/0": branch 0 of iteration 2,
            )
            open_in[scope] = visit
            found.append(visit)
        elif (visit_or_none := open_in.get(scope)) is not None:
            _note(visit_or_none, event, details)
            if event.type.endswith("StateExited"):
                del open_in[scope]
        if event.type in ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"):
            for visit in open_in.values():
                visit.failed, visit.exited_at = True, event.timestamp
                visit.error = visit.error or details.get("error")
    return [
        StateVisit(
            visit.name,
            visit.type,
            visit.entered_at,
            visit.exited_at,
            visit.failed,
            visit.error,
            visit.attempts,
            visit.depth,
            tuple(visit.runs),
        )
        for visit in found
    ]


def _note(visit: _Visit, event: HistoryEvent, details: dict[str, Any]) -> None:
    if event.type in _SCHEDULED:
        visit.attempts += 1
    elif event.type == "TaskSubmitted":
        for task in json.loads(details.get("output") or "{}").get("Tasks", []):
            visit.runs.append(id_of(str(task["TaskArn"])))
    elif event.type in _FAILED:
        visit.failed, visit.error = True, details.get("error")
    elif event.type in _SUCCEEDED:
        visit.failed, visit.error = False, None
    elif event.type == "FailStateEntered":
        visit.failed = True
    elif event.type.endswith("StateExited"):
        visit.exited_at = event.timestamp
