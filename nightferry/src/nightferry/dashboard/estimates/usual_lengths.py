"""The usual lengths of tasks and workflows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from nightferry.backend.errors import Refused, Unreachable
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.dashboard.site import Site
from nightferry.presentation.durations import find_percentile

_SEARCHED = 20  # runs or executions that succeeded
_KEPT = timedelta(minutes=10)


class UsualLengths:
    """The median length of the last successful runs of a task, or executions of a workflow, in seconds."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[tuple[str, str], tuple[datetime, float | None]] = {}

    def find_task(self, task: str) -> float | None:
        """Return the usual time from the request of a task's run to its end, or None if it is not known."""

        def read() -> Sequence[float]:
            runs = self._site.backend.runs(RunFilter(task=task, outcome="succeeded"), limit=_SEARCHED)
            return [(run.stopped_at - run.created_at).total_seconds() for run in runs if run.stopped_at]

        return self._find(("task", task), read)

    def find_workflow(self, workflow: str) -> float | None:
        """Return the usual length of a workflow's executions, or None if it is not known."""

        def read() -> Sequence[float]:
            wanted = ExecutionFilter(workflow=workflow, outcome="succeeded")
            found = self._site.backend.executions(wanted, limit=_SEARCHED)
            return [(one.stopped_at - one.started_at).total_seconds() for one in found if one.stopped_at]

        return self._find(("workflow", workflow), read)

    def _find(self, key: tuple[str, str], read: Callable[[], Sequence[float]]) -> float | None:
        now = self._site.clock.now()
        known = self._known.get(key)
        if known is not None and now - known[0] < _KEPT:
            return known[1]
        try:
            length = find_percentile(read(), 50)
        except (Unreachable, Refused):  # the page shows everything else
            length = None
        self._known[key] = (now, length)
        return length
