"""The queries of an execution's states that both backends share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

from nightferry.backend.states.data import make_state_data
from nightferry.backend.states.map_columns import Redact
from nightferry.backend.states.reader import StateReader
from nightferry.backend.states.values import MapItems, MapSummary, StateData, StateExecution
from nightferry.errors import UnknownName
from nightferry.states.machine.history import HistoryEvent

_SUGGESTIONS = 5  # paths that the message about an unknown path suggests


class StateQueries(ABC):
    """The states of executions. A backend provides their events."""

    redact: Redact
    """The redaction of the names of items."""

    @abstractmethod
    def _read_states(self, execution: str) -> AbstractContextManager[StateReader]:
        """Provide the states of an execution, up to its last event."""

    @abstractmethod
    def _read_events(self, execution: str, positions: Sequence[int]) -> Sequence[HistoryEvent]:
        """Return the events at these positions of a history."""

    def _summarize_run(self, run: str, path: str, visit: int) -> MapSummary:
        """Return the counts of a map run whose child executions have histories of their own, which only AWS has."""
        raise NotImplementedError

    def _list_run(self, run: str, path: str, visit: int) -> MapItems:
        """Return the items of such a map run."""
        raise NotImplementedError

    def state_history(self, execution: str, *, largest_map: int | None = None) -> list[StateExecution]:
        """See :class:`nightferry.backend.interface.Backend`."""
        with self._read_states(execution) as states:
            return states.list_states(largest_map)

    def state_data(self, execution: str, path: str, visit: int = 1) -> StateData:
        """See :class:`nightferry.backend.interface.Backend`."""
        with self._read_states(execution) as states:
            found = states.find_state(path, visit)
            if found is None:
                paths = list(dict.fromkeys(state.path for state in states.list_states(0)))
                raise UnknownName("state", path, paths[:_SUGGESTIONS])
        state, positions = found
        return make_state_data(state, self._read_events(execution, positions))

    def map_summaries(self, execution: str, *, largest_map: int | None = None) -> list[MapSummary]:
        """See :class:`nightferry.backend.interface.Backend`."""
        with self._read_states(execution) as states:
            found = [(items.run, items.summarize()) for items in states.list_maps(largest_map)]
        return [
            summary if run is None else self._summarize_run(run, summary.path, summary.visit) for run, summary in found
        ]

    def map_items(self, execution: str, path: str, visit: int = 1) -> MapItems:
        """See :class:`nightferry.backend.interface.Backend`."""
        with self._read_states(execution) as states:
            found = states.find_map(path, visit)
            if found is None:
                raise UnknownName("Map", path, [items.path for items in states.list_maps()][:_SUGGESTIONS])
            if found.run is None:
                return found.copy()
            run = found.run
        return self._list_run(run, path, visit)
