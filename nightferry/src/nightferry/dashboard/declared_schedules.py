"""The schedules of a site: with the values of its environment, and the expected durations of their targets."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from nightferry.backend.interface import TaskRun
from nightferry.backend.queries import RunFilter
from nightferry.backend.starts import NotKnown, StartFilter, make_source
from nightferry.catalog.declarations import Schedule, Task
from nightferry.dashboard.site import Site
from nightferry.errors import NightferryError, UnknownName
from nightferry.presentation.schedules import EnvironmentSchedule, resolve_schedule
from nightferry.presentation.simulation import RUNS_PER_TASK, Durations
from nightferry.schedules.expressions import Rate

_HISTORY = timedelta(days=35)  # of the runs from which durations are estimated
_KEPT = timedelta(minutes=10)

_durations: WeakKeyDictionary[Site, tuple[datetime, Durations]] = WeakKeyDictionary()


def list_schedules(site: Site) -> list[EnvironmentSchedule]:
    """Return the declared schedules with the values of the environment."""
    progress = site.backend.schedule_progress()
    first_seen = {} if isinstance(progress, NotKnown) else {name: one.first_seen for name, one in progress.items()}
    return [
        _resolve(site, schedule, None if isinstance(progress, NotKnown) else first_seen.get(name))
        for name, schedule in site.catalog.schedules.items()
    ]


def find_schedule(site: Site, name: str) -> EnvironmentSchedule:
    """Return the schedule with this name. Raises UnknownName."""
    declared = site.catalog.schedules
    if name not in declared:
        raise UnknownName("schedule", name, declared)
    progress = site.backend.schedule_progress()
    known = None if isinstance(progress, NotKnown) else progress.get(name)
    return _resolve(site, declared[name], None if known is None else known.first_seen)


def _resolve(site: Site, schedule: Schedule, first_seen: datetime | None) -> EnvironmentSchedule:
    found = resolve_schedule(schedule, site.environment, first_seen)
    if found.fires_are_known or not found.enabled or not isinstance(found.expression, Rate):
        return found
    # On AWS, a rate counts from the creation of the schedule. Any start has the time of one of its fires.
    wanted = StartFilter(make_source("schedule", schedule.name), since=site.clock.now() - _HISTORY)
    starts = site.backend.starts(wanted, limit=1)
    if isinstance(starts, NotKnown) or not starts:
        return found
    return resolve_schedule(schedule, site.environment, starts[0].due_at)


def estimate_durations(site: Site) -> Durations:
    """Return the expected durations of the tasks, from their last successful runs. They are kept for ten minutes."""
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
