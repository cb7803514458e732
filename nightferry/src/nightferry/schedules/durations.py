"""How long a workflow takes, from how long its tasks take: the definition walked once, in virtual time.

It is a forecast: no state fails, of a Choice the longest way is taken, a loop is gone through once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_TASK = re.compile(r"\$\{task:([^}]+)\}")
_RUN_TASK = ":ecs:runTask"
_NOTHING = timedelta()


@dataclass(frozen=True, slots=True)
class Span:
    """One run of a task within a workflow: from when to when, counted from the workflow's start."""

    task: str
    begin: timedelta
    end: timedelta

    def later(self, by: timedelta) -> Span:
        """The same, shifted."""
        return Span(self.task, self.begin + by, self.end + by)


@dataclass(frozen=True)
class Length:
    """How long something takes, and the runs of tasks within that time."""

    total: timedelta
    spans: tuple[Span, ...]

    def then(self, following: Length) -> Length:
        """Return the length of this and, after it, of ``following``."""
        spans = (span.later(self.total) for span in following.spans)
        return Length(self.total + following.total, (*self.spans, *spans))


def measure_workflow(definition: Mapping[str, Any], of_task: Callable[[str], timedelta]) -> Length:
    """How long an execution of a definition in Amazon States Language takes; ``of_task`` knows a task's run."""
    found = _States(definition["States"], of_task).length(definition["StartAt"])
    limit = definition.get("TimeoutSeconds")
    if limit is None or found.total <= timedelta(seconds=limit):
        return found
    end = timedelta(seconds=limit)
    kept = (Span(span.task, span.begin, min(span.end, end)) for span in found.spans if span.begin < end)
    return Length(end, tuple(kept))


class _States:
    """The states of one level of a definition."""

    def __init__(self, states: Mapping[str, Mapping[str, Any]], of_task: Callable[[str], timedelta]) -> None:
        self._states = states
        self._of_task = of_task
        self._known: dict[str, Length] = {}

    def length(self, name: str) -> Length:
        """From a state to the end."""
        chain = []
        at: str | None = name
        while at is not None and at not in self._known:
            self._known[at] = Length(_NOTHING, ())  # what comes round to it again ends there
            chain.append(at)
            at = self._states[at].get("Next")
        rest = Length(_NOTHING, ()) if at is None else self._known[at]
        for one in reversed(chain):
            rest = self._known[one] = self._own(self._states[one]).then(rest)
        return rest

    def _own(self, state: Mapping[str, Any]) -> Length:
        match state["Type"]:
            case "Task":
                return self._task(state)
            case "Wait":
                seconds = state.get("Seconds")
                return Length(timedelta(seconds=seconds) if isinstance(seconds, int | float) else _NOTHING, ())
            case "Parallel":
                branches = [measure_workflow(branch, self._of_task) for branch in state["Branches"]]
                total = max((branch.total for branch in branches), default=_NOTHING)
                return Length(total, tuple(span for branch in branches for span in branch.spans))
            case "Map":
                return self._map(state)
            case "Choice":
                ways = [*(choice["Next"] for choice in state["Choices"]), state.get("Default")]
                lengths = [self.length(way) for way in ways if way is not None]
                return max(lengths, key=lambda length: length.total)
        return Length(_NOTHING, ())

    def _task(self, state: Mapping[str, Any]) -> Length:
        parameters = state.get("Parameters") or state.get("Arguments") or {}
        named = _TASK.search(str(parameters.get("TaskDefinition", ""))) if isinstance(parameters, Mapping) else None
        if _RUN_TASK not in state["Resource"] or named is None:
            return Length(_NOTHING, ())
        length = self._of_task(named[1])
        waits = not state["Resource"].endswith(_RUN_TASK)
        return Length(length if waits else _NOTHING, (Span(named[1], _NOTHING, length),))

    def _map(self, state: Mapping[str, Any]) -> Length:
        item = measure_workflow(state.get("ItemProcessor") or state["Iterator"], self._of_task)
        at_once = state.get("MaxConcurrency", 0)
        waves = math.ceil(self._items(state) / at_once) if isinstance(at_once, int) and at_once > 0 else 1
        found = Length(_NOTHING, ())
        for _ in range(waves):
            found = found.then(item)
        return found

    def _items(self, state: Mapping[str, Any]) -> int:
        """How many items a Map has where the definition itself tells; else it is taken for one."""
        if isinstance(items := state.get("Items"), list):
            return len(items)
        for other in self._states.values():
            same = other.get("ResultPath", "$") == state.get("ItemsPath", "$")
            if other["Type"] == "Pass" and same and isinstance(other.get("Result"), list):
                return len(other["Result"])
        return 1
