"""Results that replace tasks, so that a definition can be run without the services that it calls.

The results are an object with a member for each state: its outcome, or a list with the outcome of each attempt. An
outcome is ``{"value": …}``, or ``{"error": NAME, "cause": TEXT}`` with an optional cause::

    {"Load": [{"error": "States.TaskFailed", "cause": "busy"}, {"value": {"rows": 3}}], "Notify": {"value": null}}

The state of a distributed Map with an ItemReader has the items as its value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nightferry.errors import NightferryError
from nightferry.states.data.payload import Json
from nightferry.states.language.model import Definition, MapState, TaskState, iterate_states
from nightferry.states.machine.commands import Outcome, TaskFailed, TaskSucceeded, TaskTimedOut, list_members

_TIMEOUTS = ("States.Timeout", "States.HeartbeatTimeout")


class InvalidResults(NightferryError):
    """The results of tasks must name states of the definition, each with an outcome or a list of outcomes."""


class NoResultLeft(NightferryError):
    """A state ran more often than it has results. Add one for each attempt, or one for all attempts."""


class TaskResults:
    """The results of tasks by state. Each attempt of a state takes the next one."""

    def __init__(self, results: Any, definition: Definition) -> None:
        """Check the results. Raises InvalidResults."""
        if not isinstance(results, Mapping):
            raise InvalidResults("The results must be an object with the names of states.")
        states = {
            state.name
            for state in iterate_states(definition.program)
            if isinstance(state, TaskState) or (isinstance(state, MapState) and state.reader is not None)
        }
        for name in results:
            if name not in states:
                known = ", ".join(sorted(states)) or "none"
                raise InvalidResults(f"{name!r} is not a state that needs a result. Such states are: {known}.")
        self._every: dict[str, Outcome] = {}
        self._each: dict[str, list[Outcome]] = {}
        for name, value in results.items():
            if isinstance(value, list):
                self._each[name] = [_parse(one, f"{name}[{place}]") for place, one in enumerate(value)]
            else:
                self._every[name] = _parse(value, name)
        self._taken: Counter[str] = Counter()

    def take(self, state: str) -> Outcome:
        """Return the outcome of the state's next attempt. Raises NoResultLeft."""
        if state in self._every:
            return self._every[state]
        outcomes = self._each.get(state)
        if outcomes is None:
            raise NoResultLeft(f"The state {state!r} has no result. Add it to the results.")
        taken = self._taken[state]
        if taken >= len(outcomes):
            raise NoResultLeft(
                f"The state {state!r} has {len(outcomes)} results and was started {taken + 1} times. Add a result for "
                "this attempt, or give one result without a list for all attempts."
            )
        self._taken[state] += 1
        return outcomes[taken]

    def take_items(self, state: str) -> Outcome:
        """Return the items of a distributed Map, from the next result of its state. Raises as ``take``."""
        outcome = self.take(state)
        if isinstance(outcome, TaskSucceeded) and not isinstance(outcome.output, list | dict):
            raise InvalidResults(f"{state}: the value must be the items of the Map, an array or an object.")
        if isinstance(outcome, TaskSucceeded) and isinstance(outcome.output, dict):
            return TaskSucceeded(list_members(outcome.output))
        return outcome


def _parse(value: Json, place: str) -> Outcome:
    members = set(value) if isinstance(value, dict) else set()
    if members == {"value"}:
        return TaskSucceeded(value["value"])
    if "error" in members <= {"error", "cause"} and all(isinstance(text, str) for text in value.values()):
        failure = TaskTimedOut if value["error"] in _TIMEOUTS else TaskFailed
        return failure(value["error"], value.get("cause"))
    raise InvalidResults(f'{place} must be {{"value": …}} or {{"error": NAME, "cause": TEXT}}.')
