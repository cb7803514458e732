"""The expected duration of a workflow, computed from the durations of its tasks.

The forecast assumes that no state fails, that a Choice takes its longest path, and that a loop runs once.
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
_ZERO = timedelta()


@dataclass(frozen=True, slots=True)
class Span:
    """One run of a task within a workflow; ``begin`` and ``end`` are relative to the workflow's start."""

    task: str
    begin: timedelta
    end: timedelta

    def shift(self, by: timedelta) -> Span:
        """Return the span, ``by`` later."""
        return Span(self.task, self.begin + by, self.end + by)


@dataclass(frozen=True)
class Length:
    """The duration of a state or workflow, and the task runs within it."""

    total: timedelta
    spans: tuple[Span, ...]

    def append(self, following: Length) -> Length:
        """Return the length of this followed by ``following``."""
        spans = (span.shift(self.total) for span in following.spans)
        return Length(self.total + following.total, (*self.spans, *spans))


def measure_workflow(definition: Mapping[str, Any], measure_task: Callable[[str], timedelta]) -> Length:
    """Return the expected length of an execution; ``measure_task`` returns the expected duration of a task's run."""
    found = _States(definition["States"], measure_task).measure_from(definition["StartAt"])
    limit = definition.get("TimeoutSeconds")
    if limit is None or found.total <= timedelta(seconds=limit):
        return found
    end = timedelta(seconds=limit)
    spans = (Span(span.task, span.begin, min(span.end, end)) for span in found.spans if span.begin < end)
    return Length(end, tuple(spans))


class _States:
    """The states of one level of a definition."""

    def __init__(self, states: Mapping[str, Mapping[str, Any]], measure_task: Callable[[str], timedelta]) -> None:
        self._states = states
        self._measure_task = measure_task
        self._known: dict[str, Length] = {}

    def measure_from(self, name: str) -> Length:
        """Return the length from a state to the end."""
        chain = []
        at: str | None = name
        while at is not None and at not in self._known:
            self._known[at] = Length(_ZERO, ())  # a loop back to this state ends here, so that it counts once
            chain.append(at)
            at = self._states[at].get("Next")
        rest = Length(_ZERO, ()) if at is None else self._known[at]
        for one in reversed(chain):
            rest = self._known[one] = self._measure_state(self._states[one]).append(rest)
        return rest

    def _measure_state(self, state: Mapping[str, Any]) -> Length:
        match state["Type"]:
            case "Task":
                return self._measure_task_state(state)
            case "Wait":
                seconds = state.get("Seconds")
                return Length(timedelta(seconds=seconds) if isinstance(seconds, int | float) else _ZERO, ())
            case "Parallel":
                branches = [measure_workflow(branch, self._measure_task) for branch in state["Branches"]]
                total = max((branch.total for branch in branches), default=_ZERO)
                return Length(total, tuple(span for branch in branches for span in branch.spans))
            case "Map":
                return self._measure_map(state)
            case "Choice":
                targets = [*(choice["Next"] for choice in state["Choices"]), state.get("Default")]
                lengths = [self.measure_from(target) for target in targets if target is not None]
                return max(lengths, key=lambda length: length.total)
        return Length(_ZERO, ())

    def _measure_task_state(self, state: Mapping[str, Any]) -> Length:
        parameters = state.get("Parameters") or state.get("Arguments") or {}
        named = _TASK.search(str(parameters.get("TaskDefinition", ""))) if isinstance(parameters, Mapping) else None
        if _RUN_TASK not in state["Resource"] or named is None:
            return Length(_ZERO, ())
        length = self._measure_task(named[1])
        waits = not state["Resource"].endswith(_RUN_TASK)
        return Length(length if waits else _ZERO, (Span(named[1], _ZERO, length),))

    def _measure_map(self, state: Mapping[str, Any]) -> Length:
        item = measure_workflow(state.get("ItemProcessor") or state["Iterator"], self._measure_task)
        concurrency = state.get("MaxConcurrency", 0)
        limited = isinstance(concurrency, int) and concurrency > 0
        waves = math.ceil(self._count_items(state) / concurrency) if limited else 1
        found = Length(_ZERO, ())
        for _ in range(waves):
            found = found.append(item)
        return found

    def _count_items(self, state: Mapping[str, Any]) -> int:
        """Return a Map's number of items if the definition contains them; otherwise assume one item."""
        if isinstance(items := state.get("Items"), list):
            return len(items)
        path = state.get("ItemsPath", "$")
        for other in self._states.values():
            variables = [
                f"${name.removesuffix('.$')}" for name, value in other.get("Assign", {}).items() if value == "$"
            ]
            if path in (other.get("ResultPath", "$"), *variables) and isinstance(other.get("Result"), list):
                return len(other["Result"])
        return 1
