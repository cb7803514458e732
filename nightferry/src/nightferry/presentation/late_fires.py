"""Fires that were due and for which nothing was started.

The local engine records how far it has decided each schedule. AWS records nothing, so that the last fires of a schedule
are compared with the starts that are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightferry.backend.interface import Backend
from nightferry.backend.starts import NotKnown, StartFilter, make_source
from nightferry.presentation.schedules import EnvironmentSchedule, find_fires, find_undecided

_DUE = timedelta(minutes=1)  # from a fire until it is late, the precision of EventBridge Scheduler
_VISIBLE = timedelta(minutes=5)  # from a fire until what AWS started for it must be visible
_RETRIED = timedelta(minutes=75)  # synthesis limits the retries of AWS to an hour
_COMPARED = timedelta(hours=26)  # the last fires on AWS that are compared, so that each nightly one is among them
_MOST_COMPARED = 20


@dataclass(frozen=True)
class LateFires:
    """The fires of one schedule for which nothing was started, in order. ``reason`` is a full sentence."""

    schedule: EnvironmentSchedule
    fires: tuple[datetime, ...]
    reason: str


def find_late_fires(backend: Backend, schedules: Iterable[EnvironmentSchedule], now: datetime) -> list[LateFires]:
    """Return the late fires of each enabled schedule that has some."""
    return list(_iterate_late_fires(backend, schedules, now))


def _iterate_late_fires(
    backend: Backend, schedules: Iterable[EnvironmentSchedule], now: datetime
) -> Iterator[LateFires]:
    progress = backend.schedule_progress()
    for schedule in schedules:
        if not isinstance(progress, NotKnown):
            fires = find_undecided(schedule, progress.get(schedule.name), now - _DUE)
            reason = (
                "The engine has not decided it: no engine is running, or it cannot start the target. When it runs, the "
                "policy for missed fires applies."
            )
        elif schedule.enabled and schedule.fires_are_known:
            fires = _find_without_start(backend, schedule, now)
            reason = (
                "No start was found. AWS repeats a failed start for an hour."
                if fires and fires[0] > now - _RETRIED
                else "No start was found: it failed, or the schedule was deployed or enabled later."
            )
        else:
            continue
        if fires:
            yield LateFires(schedule, tuple(fires), reason)


def _find_without_start(backend: Backend, schedule: EnvironmentSchedule, now: datetime) -> list[datetime]:
    fires = find_fires(schedule, now - _COMPARED, now - _VISIBLE, _MOST_COMPARED)
    if not fires:
        return []
    wanted = StartFilter(make_source("schedule", schedule.name), since=fires[0] - _DUE)
    starts = backend.starts(wanted, limit=10 * _MOST_COMPARED)
    if isinstance(starts, NotKnown):
        return []
    due = [start.due_at for start in starts]
    # A page that is not the whole list begins with the newest starts.
    first = starts[-1].due_at if starts.next is not None and len(starts) else fires[0]
    # A classic rule reports the second at which it fired.
    return [fire for fire in fires if fire >= first and not any(fire <= one < fire + _DUE for one in due)]
