"""The expected durations of the tasks of a site, estimated from its runs and kept for some minutes."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from nightferry.backend.interface import TaskRun
from nightferry.backend.queries import RunFilter
from nightferry.catalog.declarations import Task
from nightferry.dashboard.site import Site
from nightferry.errors import NightferryError
from nightferry.presentation.simulation import RUNS_PER_TASK, Durations

_HISTORY = timedelta(days=35)  # of the runs from which durations are estimated
_KEPT = timedelta(minutes=10)

_durations: WeakKeyDictionary[Site, tuple[datetime, Durations]] = WeakKeyDictionary()


def estimate_durations(site: Site) -> Durations:
    """Return the expected durations of the tasks, from their last successful runs."""
    now = site.clock.now()
    kept = _durations.get(site)
    if kept is None or now - kept[0] > _KEPT:

        def list_runs(task: Task) -> list[TaskRun]:
            with contextlib.suppress(NightferryError):  # without them, the declared duration is used
                wanted = RunFilter(task=task.name, outcome="succeeded", since=now - _HISTORY)
                return list(site.backend.runs(wanted, limit=RUNS_PER_TASK))
            return []

        kept = _durations[site] = (now, Durations(site.catalog.tasks, list_runs))
    return kept[1]
