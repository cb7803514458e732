"""How long each state of a workflow took in its last executions, from their histories.

Only states on the top level that take time are compared: a Map or Parallel state includes everything within it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.states.values import StateExecution
from nightferry.dashboard.site import Site
from nightferry.presentation.durations import find_percentile

_TIMED = ("Task", "Map", "Parallel", "Wait")
_KEPT = 2000  # ended executions
_MINUTE = 60


@dataclass(frozen=True)
class StatePass:
    """A state in one execution: its seconds in all passes, and whether its last pass failed."""

    type: str
    seconds: float
    failed: bool


@dataclass(frozen=True)
class StateLengths:
    """A state in several executions, each with a place in ``lengths`` and ``failed``: None where it was not entered."""

    name: str
    type: str
    lengths: tuple[float | None, ...]
    failed: tuple[bool, ...]

    @property
    def median(self) -> float | None:
        """The median of the passes that did not fail, or of all if all failed."""
        return find_percentile(self._list_counted(), 50)

    @property
    def p95(self) -> float | None:
        """The 95th percentile of these passes."""
        return find_percentile(self._list_counted(), 95)

    @property
    def last_is_unusual(self) -> bool:
        """True if the newest execution spent more than twice the usual time in this state, and a minute more."""
        last, usual = (self.lengths[-1] if self.lengths else None), self.median
        return last is not None and usual is not None and last > 2 * usual and last > usual + _MINUTE

    def _list_counted(self) -> list[float]:
        entered = [(one, bad) for one, bad in zip(self.lengths, self.failed, strict=True) if one is not None]
        return [one for one, bad in entered if not bad] or [one for one, _ in entered]


def measure_states(states: Iterable[StateExecution]) -> dict[str, StatePass]:
    """Return the timed states of an ended execution by name, in the order in which they were entered."""
    found: dict[str, StatePass] = {}
    for state in states:
        if state.depth == 0 and state.exited_at is not None and (state.type in _TIMED or state.failed):
            seconds = max((state.exited_at - state.entered_at).total_seconds(), 0)
            before = found.get(state.name)
            found[state.name] = StatePass(state.type, seconds + (before.seconds if before else 0), state.failed)
    return found


class StateHistories:
    """The timed states of the ended executions of a site. Their histories do not change, so each is read once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: OrderedDict[tuple[str, str], Mapping[str, StatePass]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, execution: ExecutionSummary) -> Mapping[str, StatePass]:
        """Return the timed states of an ended execution. A redrive changes the time of its end."""
        key = (execution.id, str(execution.stopped_at))
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = measure_states(self._site.backend.state_history(execution.id))
        with self._lock:
            self._known[key] = found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found


def compare(executions: Sequence[Mapping[str, StatePass]]) -> list[StateLengths]:
    """Return the states of several executions, in the order in which they are entered."""
    names: list[str] = []
    for states in executions:
        after = -1  # a state that only some executions enter stands behind the one before it
        for name in states:
            if name in names:
                after = names.index(name)
            else:
                after += 1
                names.insert(after, name)
    return [_collect(name, executions) for name in names]


def find_slowest(states: Sequence[StateLengths]) -> StateLengths | None:
    """Return the state with the longest median."""
    return max((state for state in states if state.median), key=lambda state: state.median or 0, default=None)


def _collect(name: str, executions: Sequence[Mapping[str, StatePass]]) -> StateLengths:
    passes = [states.get(name) for states in executions]
    type_ = next(one.type for one in passes if one is not None)
    return StateLengths(
        name,
        type_,
        tuple(None if one is None else one.seconds for one in passes),
        tuple(one is not None and one.failed for one in passes),
    )
