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


def add_scopes(raw_events: Iterable[Mapping[str, Any]]) -> list[HistoryEvent]:
    """Return the history with the scope of each event.

    AWS does not return scopes; they are derived from the order of events. An event is in the same branch or iteration
    as its previous event. An event after the start of a Parallel or of an iteration opens a new scope. An event that
    concerns a whole Parallel or Map state is in the scope in which that state was entered. A redrive continues all
    states that were not left, and its events follow the entries of these states.
    """
    scopes: dict[int, str] = {}
    kinds: dict[int, str] = {}
    current: dict[str, _CurrentState] = {}
    scope_count = 0
    found: list[HistoryEvent] = []
    for event in raw_events:
        # Step Functions leaves out a previous event of 0, the default in its API model.
        id, before, kind = int(event["id"]), int(event.get("previousEventId", 0)), str(event["type"])
        scope = scopes.get(before, "")
        details: dict[str, Any] = event.get(get_details_key(kind)) or {}
        if kind.endswith("StateEntered"):
            if kinds.get(before) in _BRANCH_STARTS:
                scope_count += 1
                scope = f"{scope}/{scope_count}"
            current[scope] = _CurrentState(kind.removesuffix("StateEntered"), details.get("name", ""))
        elif kind.endswith("StateExited"):
            name = details.get("name", "")
            scope = _find_scope(scope, lambda at, name=name: at in current and current[at].name == name)  # type: ignore[misc]
        elif match := _WHOLE_STATE.fullmatch(kind):
            begins = match["state"] == "Started"
            own = scope in current and current[scope].type == match["type"]
            if not (begins and own and kinds.get(before) in _BEFORE_FIRST_START):
                scope = _find_scope(
                    scope,
                    lambda at, entered=match["type"]: (  # type: ignore[misc]
                        at in current and current[at].type == entered and current[at].running
                    ),
                )
            if match["state"] and scope in current:
                current[scope].running = begins
                current[scope].started = True
        elif kind == "ExecutionRedriven":
            for state in current.values():
                state.running = state.started
        scopes[id], kinds[id] = scope, kind
        time = parse_time(event["timestamp"])
        assert time is not None
        found.append(HistoryEvent(id, before, kind, time, event.get(get_details_key(kind)), {"scope": scope}))
    return found


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
