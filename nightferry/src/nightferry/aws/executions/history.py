"""What GetExecutionHistory answers, as the events that the local engine's histories have too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.aws.runs.runs import camel, time_of
from nightferry.states.machine.history import HistoryEvent, details_key

_BEGINS_BRANCH = ("ParallelStateStarted", "MapIterationStarted")
# These tell of a Parallel or Map as a whole, and may follow on an event within one of its branches.
_WHOLE = re.compile(
    r"(?P<type>Parallel|Map)(State(?P<state>Started|Succeeded|Failed|Aborted)|Iteration(Started|Succeeded|Failed|Aborted))"
)


@dataclass
class _Place:
    """The state that a scope is in, and whether its branches run."""

    type: str
    name: str
    running: bool = False


def events(answered: Iterable[Mapping[str, Any]]) -> list[HistoryEvent]:
    """The history with the scope of each event, which AWS does not tell and which follows from what precedes what.

    An event is in the branch or iteration of the event before it; what follows on the start of a Parallel or of an
    iteration begins a new one; what tells of a Parallel or Map as a whole is in the scope of its entry.
    """
    scopes: dict[int, str] = {}
    kinds: dict[int, str] = {}
    places: dict[str, _Place] = {}
    opened = 0
    found: list[HistoryEvent] = []
    for event in answered:
        id, before, kind = int(event["id"]), int(event["previousEventId"]), str(event["type"])
        scope = scopes.get(before, "")
        details: dict[str, Any] = event.get(details_key(kind)) or {}
        if kind.endswith("StateEntered"):
            if kinds.get(before) in _BEGINS_BRANCH:
                opened += 1
                scope = f"{scope}/{opened}"
            places[scope] = _Place(kind.removesuffix("StateEntered"), details["name"])
        elif kind.endswith("StateExited"):
            scope = _climb(scope, lambda at, name=details["name"]: places[at].name == name)  # type: ignore[misc]
        elif match := _WHOLE.fullmatch(kind):
            begins = match["state"] == "Started"
            scope = _climb(
                scope,
                lambda at, entered=match["type"], begins=begins: (  # type: ignore[misc]
                    places[at].type == entered and places[at].running != begins
                ),
            )
            if match["state"]:
                places[scope].running = begins
        scopes[id], kinds[id] = scope, kind
        time = time_of(event["timestamp"])
        assert time is not None
        found.append(HistoryEvent(id, before, kind, time, event.get(details_key(kind)), {"scope": scope}))
    return found


def _climb(scope: str, fits: Callable[[str], bool]) -> str:
    """The nearest scope around ``scope``, itself included, that fits."""
    while scope and not fits(scope):
        scope = scope.rpartition("/")[0]
    return scope


def tasks(history: Iterable[HistoryEvent]) -> Iterator[dict[str, Any]]:
    """The ECS tasks of an execution as they were last told, oldest first, in the spelling of the ECS API."""
    known: dict[str, dict[str, Any]] = {}
    for event in history:
        details = event.details or {}
        if event.type in ("TaskSubmitted", "TaskSucceeded"):
            told = _json(details.get("output"))
        elif event.type == "TaskFailed":
            told = _json(details.get("cause"))
        else:
            continue
        for task in told.get("Tasks", [told]):
            if isinstance(task, dict) and "TaskArn" in task:
                known[str(task["TaskArn"])] = {**known.get(str(task["TaskArn"]), {}), **camel(task)}
    yield from known.values()


def _json(text: object) -> dict[str, Any]:
    try:
        value = json.loads(str(text))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
