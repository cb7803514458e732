"""The usual lengths of tasks and workflows, from their last successful runs and executions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from nightferry.backend.errors import Refused, Unreachable
from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.runs import RunSummary
from nightferry.dashboard.site import Site
from nightferry.presentation.durations import find_percentile
from nightferry.presentation.schedules.simulation import RUNS_PER_TASK, Durations

_HISTORY = timedelta(days=35)  # in which successful runs and executions are searched
_EXECUTIONS = 20
_KEPT = timedelta(minutes=10)

_Ended = TypeVar("_Ended")


class UsualLengths:
    """The usual lengths of the tasks and workflows of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[tuple[str, str], tuple[datetime, Sequence[Any]]] = {}

    def find_task(self, task: str) -> float | None:
        """Return the median seconds from the request of a task's run to its end, or None if it is not known."""
        lengths = [one.stopped_at - one.created_at for one in self._list_runs(task) if one.stopped_at]
        return find_percentile([length.total_seconds() for length in lengths], 50)

    def find_workflow(self, workflow: str) -> float | None:
        """Return the median seconds of a workflow's executions, or None if it is not known."""

        def read(since: datetime) -> Sequence[ExecutionSummary]:
            wanted = ExecutionFilter(workflow=workflow, outcome="succeeded", since=since)
            return self._site.backend.executions(wanted, limit=_EXECUTIONS)

        found = self._find(("workflow", workflow), read)
        lengths = [one.stopped_at - one.started_at for one in found if one.stopped_at]
        return find_percentile([length.total_seconds() for length in lengths], 50)

    def expect(self) -> Durations:
        """Return the expected durations of all tasks from their start to their end, for a simulation."""
        return Durations(self._site.catalog.tasks, lambda task: self._list_runs(task.name))

    def _list_runs(self, task: str) -> Sequence[RunSummary]:
        def read(since: datetime) -> Sequence[RunSummary]:
            wanted = RunFilter(task=task, outcome="succeeded", since=since)
            return self._site.backend.run_summaries(wanted, limit=RUNS_PER_TASK)

        return self._find(("task", task), read)

    def _find(self, key: tuple[str, str], read: Callable[[datetime], Sequence[_Ended]]) -> Sequence[_Ended]:
        now = self._site.clock.now()
        known = self._known.get(key)
        if known is None or now - known[0] >= _KEPT:
            try:
                known = now, read(now - _HISTORY)
            except (Unreachable, Refused):  # the page shows everything else
                known = now, ()
            self._known[key] = known
        return known[1]
