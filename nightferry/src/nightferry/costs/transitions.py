"""The state transitions and the runs of an execution: from its history, or from the definition of its workflow.

Source: AWS's price page of Step Functions. Each state that an execution enters is a transition, and so is each retry,
each state of each item of an inline Map, and the end of the execution.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nightferry.backend.states.values import StateExecution
from nightferry.contract import Overlap

_TASK = re.compile(r"\$\{task:([^}]+)\}")
_RUN_TASK = ":ecs:runTask"

_END = 1
_OVERLAP_STATES = 3  # on AWS, the states that check the overlap policy when no earlier execution is running


@dataclass(frozen=True)
class ExecutionUsage:
    """The transitions of an execution, and the number of its runs by task; both may be means."""

    transitions: float
    runs: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: ExecutionUsage) -> ExecutionUsage:
        runs = Counter(self.runs)
        runs.update(other.runs)
        return ExecutionUsage(self.transitions + other.transitions, dict(runs))

    def repeat(self, times: float) -> ExecutionUsage:
        """Return the usage of this number of executions."""
        return ExecutionUsage(self.transitions * times, {task: count * times for task, count in self.runs.items()})


_NOTHING = ExecutionUsage(0)


def count_overlap_transitions(overlap: Overlap) -> int:
    """Return the transitions by which a deployed workflow checks its overlap policy before its first state."""
    return 0 if overlap == "allow" else _OVERLAP_STATES


def count_transitions(states: Iterable[StateExecution]) -> int:
    """Return the transitions of an execution that entered these states."""
    return sum(max(state.attempts, 1) for state in states) + _END


def measure_definition(definition: Mapping[str, Any]) -> ExecutionUsage:
    """Return the usage of an execution in which no state fails, a Choice takes its longest way, and a loop runs once.

    A Map whose items are not in the definition has one item.
    """
    return _measure(definition) + ExecutionUsage(_END)


def list_distributed_maps(definition: Mapping[str, Any]) -> list[str]:
    """Return the names of the distributed Maps of a definition, whose child executions are billed separately."""
    found = []
    for name, state in definition["States"].items():
        processor = _find_processor(state)
        if processor is not None and processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
            found.append(str(name))
        for inner in (*state.get("Branches", ()), *((processor,) if processor is not None else ())):
            found += list_distributed_maps(inner)
    return found


def _measure(definition: Mapping[str, Any]) -> ExecutionUsage:
    return _States(definition["States"]).measure_from(definition["StartAt"])


def _find_processor(state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return state.get("ItemProcessor") or state.get("Iterator")


class _States:
    """The states of one level of a definition."""

    def __init__(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        self._states = states
        self._known: dict[str, ExecutionUsage] = {}

    def measure_from(self, name: str) -> ExecutionUsage:
        """Return the usage from a state to the end of its level."""
        chain = []
        at: str | None = name
        while at is not None and at not in self._known:
            self._known[at] = _NOTHING  # a loop back to this state ends here, so that it counts once
            chain.append(at)
            at = self._states[at].get("Next")
        rest = _NOTHING if at is None else self._known[at]
        for one in reversed(chain):
            rest = self._known[one] = self._measure_state(self._states[one]) + rest
        return rest

    def _measure_state(self, state: Mapping[str, Any]) -> ExecutionUsage:
        entered = ExecutionUsage(1)
        match state["Type"]:
            case "Task":
                parameters = state.get("Parameters") or state.get("Arguments") or {}
                named = (
                    _TASK.search(str(parameters.get("TaskDefinition", ""))) if isinstance(parameters, Mapping) else None
                )
                return ExecutionUsage(1, {named[1]: 1}) if named and _RUN_TASK in state["Resource"] else entered
            case "Parallel":
                return sum((_measure(branch) for branch in state["Branches"]), entered)
            case "Map":
                return entered + _measure(_find_processor(state) or {}).repeat(self._count_items(state))
            case "Choice":
                targets = [*(choice["Next"] for choice in state["Choices"]), state.get("Default")]
                ways = [self.measure_from(target) for target in targets if target is not None]
                return entered + max(ways, key=lambda way: (sum(way.runs.values()), way.transitions))
        return entered

    def _count_items(self, state: Mapping[str, Any]) -> int:
        if isinstance(items := state.get("Items"), list):
            return len(items)
        path = state.get("ItemsPath", "$")
        for other in self._states.values():
            assigned = other.get("Assign", {})
            variables = [f"${name.removesuffix('.$')}" for name, value in assigned.items() if value == "$"]
            if path in (other.get("ResultPath", "$"), *variables) and isinstance(other.get("Result"), list):
                return len(other["Result"])
        return 1
