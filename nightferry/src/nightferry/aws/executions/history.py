"""Convert the events of GetExecutionHistory to those of the local engine's histories."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.aws.runs.runs import parse_time, to_ecs_keys
from nightferry.states.machine.history import HistoryEvent, get_details_key

_BEFORE_FIRST_START = ("ParallelStateEntered", "MapStateEntered", "EvaluationFailed")
_BRANCH_STARTS = ("ParallelStateStarted", "MapIterationStarted")
# These events concern a whole Parallel or Map state, and may follow an event of one of its branches.
_WHOLE_STATE = re.compile(
    r"(?P<type>Parallel|Map)(State(?P<state>Started|Succeeded|Failed|Aborted)|Iteration(Started|Succeeded|Failed|Aborted))"
)


@dataclass
class _CurrentState:
    """The current state of a scope. ``running`` is True while the state's branches run, after they have started."""

    type: str
    name: str
    started: bool = False
    running: bool = False


class ScopeReader:
    """Derive the scope of each event of a history, whose events may arrive in parts.

    AWS does not return scopes; they are derived from the order of events. An event is in the same branch or iteration
    as its previous event. An event after the start of a Parallel or of an iteration opens a new scope. An event that
    concerns a whole Parallel or Map state is in the scope in which that state was entered. A redrive continues all
    states that were not left, and its events follow the entries of these states.
    """

    def __init__(self) -> None:
        self._scopes: dict[int, str] = {}
        self._kinds: dict[int, str] = {}
        self._indexes: dict[int, int] = {}  # event of the start of an iteration → the number of its item
        self._current: dict[str, _CurrentState] = {}
        self._count = 0

    def add(self, raw_events: Iterable[Mapping[str, Any]]) -> list[HistoryEvent]:
        """Return the next events with their scopes. The first event of an iteration has its ``index``."""
        return [self._add(event) for event in raw_events]

    def _add(self, event: Mapping[str, Any]) -> HistoryEvent:
        # Step Functions leaves out a previous event of 0, the default in its API model.
        id, before, kind = int(event["id"]), int(event.get("previousEventId", 0)), str(event["type"])
        scope, current = self._scopes.get(before, ""), self._current
        details: dict[str, Any] = event.get(get_details_key(kind)) or {}
        engine: dict[str, Any] = {}
        if kind.endswith("StateEntered"):
            if self._kinds.get(before) in _BRANCH_STARTS:
                self._count += 1
                scope = f"{scope}/{self._count}"
                if before in self._indexes:
                    engine["index"] = self._indexes[before]
            current[scope] = _CurrentState(kind.removesuffix("StateEntered"), details.get("name", ""))
        elif kind.endswith("StateExited"):
            name = details.get("name", "")
            scope = _find_scope(scope, lambda at: at in current and current[at].name == name)
        elif match := _WHOLE_STATE.fullmatch(kind):
            begins, entered = match["state"] == "Started", match["type"]
            own = scope in current and current[scope].type == entered
            if not (begins and own and self._kinds.get(before) in _BEFORE_FIRST_START):
                scope = _find_scope(
                    scope, lambda at: at in current and current[at].type == entered and current[at].running
                )
            if match["state"] and scope in current:
                current[scope].running = begins
                current[scope].started = True
            if kind == "MapIterationStarted":
                self._indexes[id] = int(details.get("index", 0))
        elif kind == "ExecutionRedriven":
            for state in current.values():
                state.running = state.started
        self._scopes[id], self._kinds[id] = scope, kind
        time = parse_time(event["timestamp"])
        assert time is not None
        return HistoryEvent(id, before, kind, time, event.get(get_details_key(kind)), {"scope": scope, **engine})


def _find_scope(scope: str, fits: Callable[[str], bool]) -> str:
    """Return the innermost scope that fits, from ``scope`` outwards."""
    while scope and not fits(scope):
        scope = scope.rpartition("/")[0]
    return scope


def find_tasks(history: Iterable[HistoryEvent]) -> Iterator[dict[str, Any]]:
    """Yield the last known state of each ECS task of an execution, oldest first, with the keys of the ECS API."""
    known: dict[str, dict[str, Any]] = {}
    for event in history:
        details = event.details or {}
        if event.type in ("TaskSubmitted", "TaskSucceeded"):
            content = _parse_json(details.get("output"))
        elif event.type == "TaskFailed":
            content = _parse_json(details.get("cause"))
        else:
            continue
        for task in content.get("Tasks", [content]):
            if isinstance(task, dict) and "TaskArn" in task:
                known[str(task["TaskArn"])] = {**known.get(str(task["TaskArn"]), {}), **to_ecs_keys(task)}
    yield from known.values()


def _parse_json(text: object) -> dict[str, Any]:
    try:
        value = json.loads(str(text))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
