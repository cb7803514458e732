"""Fires that were due and for which nothing was started.

The local engine records how far it has decided each schedule. AWS records nothing, so that the last fires of a schedule
are compared with the starts that are found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightferry.backend.interface import Backend
from nightferry.backend.starts import NotKnown, StartFilter, make_source
from nightferry.presentation.schedules.schedules import EnvironmentSchedule, find_fires, find_undecided

_DUE = timedelta(minutes=1)  # from a fire until it is late, the precision of EventBridge Scheduler
_VISIBLE = timedelta(minutes=5)  # from a fire until what AWS started for it must be visible
_RETRIED = timedelta(minutes=75)  # synthesis limits the retries of AWS to an hour
_COMPARED = timedelta(hours=26)  # the last fires on AWS that are compared, so that each nightly one is among them
_MOST_FIRES = 20  # of each schedule that are compared
_MOST_STARTS = 1_000

_UNDECIDED = (
    "The engine has not decided it: no engine is running, or it cannot start the target. When it runs, the policy for "
    "missed fires applies."
)
_BEING_RETRIED = "No start was found. AWS repeats a failed start for an hour."
_NO_START = "No start was found: it failed, or the schedule was deployed or enabled later."


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
    if isinstance(progress, NotKnown):
        yield from _compare_with_starts(backend, schedules, now)
        return
    for schedule in schedules:
        if fires := find_undecided(schedule, progress.get(schedule.name), now - _DUE):
            yield LateFires(schedule, tuple(fires), _UNDECIDED)


def _compare_with_starts(
    backend: Backend, schedules: Iterable[EnvironmentSchedule], now: datetime
) -> Iterator[LateFires]:
    """Yield the fires without a start, from one list of the starts of all schedules."""
    expected = {
        schedule.name: (schedule, find_fires(schedule, now - _COMPARED, now - _VISIBLE, _MOST_FIRES))
        for schedule in schedules
        if schedule.enabled and schedule.fires_are_known
    }
    begin = min((fires[0] for _, fires in expected.values() if fires), default=None)
    if begin is None:
        return
    starts = backend.starts(StartFilter(since=begin - _DUE), limit=_MOST_STARTS)
    if isinstance(starts, NotKnown):
        return
    if starts.next is not None:  # the list begins with the newest starts
        begin = starts.next.time
    due: dict[str, list[datetime]] = defaultdict(list)
    for start in starts:
        due[start.source].append(start.due_at)
    for schedule, fires in expected.values():
        found = due[make_source("schedule", schedule.name)]
        # A classic rule reports the second at which it fired.
        late = [fire for fire in fires if fire >= begin and not any(fire <= one < fire + _DUE for one in found)]
        if late:
            yield LateFires(schedule, tuple(late), _BEING_RETRIED if late[0] > now - _RETRIED else _NO_START)
