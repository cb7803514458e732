"""The expected durations of tasks for the simulation of schedules, estimated from their runs."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.catalog.declarations import Task
from nightferry.dashboard.site import Site
from nightferry.errors import NightferryError
from nightferry.presentation.schedules.simulation import RUNS_PER_TASK, Durations

_HISTORY = timedelta(days=35)  # of the runs from which durations are estimated
_KEPT = timedelta(minutes=10)


class ExpectedDurations:
    """The expected durations of the tasks of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: tuple[datetime, Durations] | None = None

    def estimate(self) -> Durations:
        """Return the expected durations of the tasks, from their last successful runs."""
        now = self._site.clock.now()
        kept = self._kept
        if kept is None or now - kept[0] > _KEPT:

            def list_runs(task: Task) -> list[TaskRun]:
                with contextlib.suppress(NightferryError):  # without them, the declared duration is used
                    wanted = RunFilter(task=task.name, outcome="succeeded", since=now - _HISTORY)
                    return list(self._site.backend.runs(wanted, limit=RUNS_PER_TASK))
                return []

            kept = self._kept = (now, Durations(self._site.catalog.tasks, list_runs))
        return kept[1]
