"""The states and the items of Map states that an execution entered, derived from its events.

A reader accepts the events in parts, so that a page of a running execution reads only those since the last view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nightferry.backend.states.data import FAILED, SCHEDULED, STARTED, SUCCEEDED, list_tasks
from nightferry.backend.states.map_columns import MapColumns, Redact, find_key
from nightferry.backend.states.values import Attempt, ItemStatus, StateExecution
from nightferry.states.machine.history import HistoryEvent

_CHILD_ENDS: dict[str, ItemStatus] = {
    "ExecutionSucceeded": "succeeded",
    "ExecutionFailed": "failed",
    "ExecutionTimedOut": "failed",
    "ExecutionAborted": "stopped",
}
_ITERATION_ENDS: dict[str, ItemStatus] = {
    "MapIterationSucceeded": "succeeded",
    "MapIterationFailed": "failed",
    "MapIterationAborted": "stopped",
}


@dataclass(slots=True)
class _State:
    name: str
    type: str
    entered_at: datetime
    scope: _Scope
    path: str
    visit: int
    exited_at: datetime | None = None
    left: bool = False
    failed: bool = False
    error: str | None = None
    tries: list[Attempt] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    items: MapColumns | None = None
    positions: list[int] = field(default_factory=list)

    def end_attempt(self, time: datetime, error: str | None) -> None:
        if self.tries and self.tries[-1].ended_at is None:
            last = self.tries[-1]
            self.tries[-1] = Attempt(last.scheduled_at, last.started_at, time, error, last.runs)

    def stop(self, event: HistoryEvent) -> None:
        """Record that the state was stopped with what is around it."""
        self.failed, self.exited_at = True, event.timestamp
        self.error = self.error or (event.details or {}).get("error")
        self.end_attempt(event.timestamp, self.error)
        if self.items is not None:
            self.items.stop_running(event.timestamp)

    def resume(self) -> None:
        """Record that a redrive continues the state."""
        self.failed, self.exited_at, self.error = False, None, None


@dataclass(slots=True)
class _Scope:
    """An execution, a branch or an iteration: its place, its open state, and the scopes in that state.

    ``items`` and ``index`` are the Map and the item of the innermost iteration; ``own`` is True for that iteration.
    """

    prefix: str = ""
    depth: int = 0
    items: MapColumns | None = None
    index: int = 0
    own: bool = False
    largest: int = 0  # the number of items of the largest Map around it
    state: _State | None = None
    within: dict[str, _Scope] = field(default_factory=dict)


class StateReader:
    """The states of one execution. ``redact`` is applied to the names of items."""

    def __init__(self, redact: Redact = lambda value, _: value) -> None:
        self.length = 0
        """The number of events that were added."""
        self._redact = redact
        self._root = _Scope()
        self._states: list[_State] = []
        self._passes: dict[str, list[_State]] = {}

    def add(self, events: Iterable[HistoryEvent]) -> None:
        """Add the next events."""
        for event in events:
            self._add(event)
            self.length += 1

    # ── results ───────────────────────────────────────────────────────────────────────────────────────────────────

    def list_states(self, largest_map: int | None = None) -> list[StateExecution]:
        """Return the states in order, except those within a Map with more items than ``largest_map``."""
        return [_to_value(state) for state in self._states if largest_map is None or state.scope.largest <= largest_map]

    def list_maps(self, largest_map: int | None = None) -> Iterator[MapColumns]:
        """Yield the items of each pass through a Map, with the same exception."""
        for state in self._states:
            if state.items is not None and (largest_map is None or state.scope.largest <= largest_map):
                yield state.items

    def find_state(self, path: str, visit: int) -> tuple[StateExecution, list[int]] | None:
        """Return a pass through a state and the positions of its events in the history; None if there is none."""
        passes = self._passes.get(path, [])
        if not 1 <= visit <= len(passes):
            return None
        return _to_value(passes[visit - 1]), list(passes[visit - 1].positions)

    def find_map(self, path: str, visit: int) -> MapColumns | None:
        """Return the items of a pass through a Map, or None."""
        passes = self._passes.get(path, [])
        return passes[visit - 1].items if 1 <= visit <= len(passes) else None

    # ── events ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _add(self, event: HistoryEvent) -> None:
        engine, details = event.engine or {}, event.details or {}
        key = engine.get("scope", "")
        scope = self._root if not key else self._find_scope(key, engine.get("index"))
        if engine.get("child") and scope.items is not None:
            self._record_child(scope, event, details)
        if event.type.endswith("StateEntered"):
            self._enter(scope, event, details)
        elif scope.state is not None:
            self._record(scope, scope.state, event, details)
        # An execution or a child execution of a distributed Map ends or is redriven, with its branches and iterations.
        if event.type == "ExecutionRedriven":
            for one in _iterate_within(scope):
                _resume(one)
        elif event.type in _CHILD_ENDS and event.type != "ExecutionSucceeded":
            for one in _iterate_within(scope):
                if one.state is not None:
                    one.state.stop(event)

    def _find_scope(self, key: str, index: int | None) -> _Scope:
        """Return the scope of a key such as ``/0/2``: branch or iteration 2 in branch or iteration 0."""
        scope = self._root
        for part in key.split("/")[1:]:
            inner = scope.within.get(part)
            if inner is None:
                inner = scope.within[part] = _open_scope(scope, int(part) if index is None else index)
            scope = inner
        return scope

    def _enter(self, scope: _Scope, event: HistoryEvent, details: dict[str, Any]) -> None:
        if scope.own and scope.items is not None and scope.items.get_key(scope.index) is None and scope.state is None:
            scope.items.name(scope.index, find_key(details.get("input"), self._redact))
        path = scope.prefix + str(details.get("name", ""))
        passes = self._passes.setdefault(path, [])
        kind = event.type.removesuffix("StateEntered")
        state = _State(str(details.get("name", "")), kind, event.timestamp, scope, path, len(passes) + 1)
        state.failed = kind == "Fail"
        state.positions.append(self.length)
        scope.state = state
        scope.within = {}
        passes.append(state)
        self._states.append(state)

    def _record_child(self, scope: _Scope, event: HistoryEvent, details: dict[str, Any]) -> None:
        """Record the begin or the end of a child execution of a distributed Map."""
        items = scope.items
        if not scope.own or items is None:
            return
        if event.type == "ExecutionStarted":
            items.start(scope.index, event.timestamp)
            items.name(scope.index, find_key(details.get("input"), self._redact))
        elif event.type == "ExecutionRedriven":
            items.resume(scope.index)
        elif event.type in _CHILD_ENDS:
            items.end(scope.index, _CHILD_ENDS[event.type], event.timestamp, details.get("error"))

    def _record(self, scope: _Scope, state: _State, event: HistoryEvent, details: dict[str, Any]) -> None:
        state.positions.append(self.length)
        kind = event.type
        if state.type in ("Map", "Parallel"):
            self._record_container(scope, state, event, details)
        elif kind in SCHEDULED:
            state.tries.append(Attempt(event.timestamp))
        elif kind in STARTED and state.tries:
            last = state.tries[-1]
            state.tries[-1] = Attempt(last.scheduled_at, event.timestamp, last.ended_at, last.error, last.runs)
        elif kind == "TaskSubmitted":
            runs = list_tasks(details.get("output"))
            state.runs += runs
            if state.tries:
                last = state.tries[-1]
                all_runs = (*last.runs, *runs)
                state.tries[-1] = Attempt(last.scheduled_at, last.started_at, last.ended_at, last.error, all_runs)
        elif kind in FAILED:
            state.failed, state.error = True, details.get("error")
            state.end_attempt(event.timestamp, state.error)
        elif kind in SUCCEEDED:
            state.failed, state.error = False, None
            state.end_attempt(event.timestamp, None)
        if kind.endswith("StateExited"):
            state.exited_at, state.left = event.timestamp, True
            scope.state = None

    def _record_container(self, scope: _Scope, state: _State, event: HistoryEvent, details: dict[str, Any]) -> None:
        kind = event.type
        if kind in ("MapStateFailed", "MapRunFailed", "ParallelStateFailed"):
            state.failed, state.error = True, details.get("error") or (event.engine or {}).get("error") or state.error
        elif kind.endswith(("StateStarted", "StateSucceeded")):
            state.failed, state.error = False, None
        if kind.endswith(("StateStarted", "StateExited")):
            # After a retry, and after a caught failure, the branches that were stopped do not continue.
            for one in _iterate_within(scope):
                if one is not scope and one.state is not None:
                    one.state.stop(event)
            scope.within = {}
        if kind == "MapStateStarted":
            length = (event.engine or {}).get("children", details.get("length", 0))
            state.items = MapColumns(state.path, state.visit, int(length))
        elif state.items is not None:
            index = int(details.get("index", 0))
            if kind == "MapIterationStarted":
                state.items.start(index, event.timestamp)
            elif kind in _ITERATION_ENDS:
                error = (event.engine or {}).get("error") or self._find_error(scope, index)
                state.items.end(index, _ITERATION_ENDS[kind], event.timestamp, error)
            elif kind == "MapRunStarted":
                # The local engine has the events of child executions in the same history, and names the run.
                state.items.distributed = True
                state.items.run = None if "run" in (event.engine or {}) else details.get("mapRunArn")
            elif kind in ("MapStateFailed", "MapStateAborted", "MapRunFailed", "MapRunAborted", "MapStateExited"):
                state.items.stop_running(event.timestamp)

    def _find_error(self, scope: _Scope, index: int) -> str | None:
        """Return the last error within an iteration, or None."""
        for one in scope.within.values():
            if one.own and one.index == index and one.state is not None:
                return one.state.error
        return None


def _open_scope(outer: _Scope, index: int) -> _Scope:
    """Return a new branch or iteration of the open state of a scope."""
    state = outer.state
    if state is None:
        return _Scope(outer.prefix, outer.depth + 1, outer.items, outer.index, largest=outer.largest)
    if state.items is None:
        prefix = f"{state.path} / "
        return _Scope(prefix, outer.depth + 1, outer.items, outer.index, largest=outer.largest)
    largest = max(outer.largest, len(state.items))
    return _Scope(f"{state.path}[{index}] / ", outer.depth + 1, state.items, index, True, largest)


def _iterate_within(scope: _Scope) -> Iterator[_Scope]:
    """Yield a scope and all scopes within it."""
    yield scope
    for inner in scope.within.values():
        yield from _iterate_within(inner)


def _resume(scope: _Scope) -> None:
    if scope.state is not None:
        scope.state.resume()
        if scope.state.items is not None and not scope.state.items.distributed:
            scope.state.items.resume_all()


def _to_value(state: _State) -> StateExecution:
    scope = state.scope
    return StateExecution(
        state.name,
        state.type,
        state.entered_at,
        state.exited_at,
        state.failed,
        state.error,
        len(state.tries),
        scope.depth,
        tuple(state.runs),
        state.path,
        state.visit,
        None if scope.items is None else scope.index,
        None if scope.items is None else scope.items.get_key(scope.index),
        tuple(state.tries),
        state.left,
    )
