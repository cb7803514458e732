"""Schedules with the settings of an environment: their expression, their next fires, and fires that are late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from nightferry.backend.interface import Backend
from nightferry.backend.starts import NotKnown, ScheduleProgress, StartFilter, make_source
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Schedule
from nightferry.catalog.references import find_references, substitute
from nightferry.environments.environment import Environment
from nightferry.presentation.schedules.words import describe_schedule
from nightferry.schedules.expressions import Expression, Occurrence, Rate, iterate_occurrences, parse

MOST_LATE = 100  # late fires that are listed one by one
_SEARCHED = timedelta(days=35)  # before now, for a start of a rate


@dataclass(frozen=True)
class EnvironmentSchedule:
    """A declared schedule with the values that an environment has for its references.

    ``switch`` is the setting that enables it, or None if the declaration does. ``rate_from`` is the time from which its
    rate counts, or None if that is not known.
    """

    declared: Schedule
    text: str
    expression: Expression
    enabled: bool
    switch: str | None
    zone: ZoneInfo
    rate_from: datetime | None = None

    @property
    def name(self) -> str:
        """Return the schedule's name."""
        return self.declared.name

    @property
    def words(self) -> str:
        """Return the expression in words."""
        return describe_schedule(self.text, self.declared.timezone)

    @property
    def start(self) -> datetime | None:
        """Return the first time at which it may fire; for a rate, the time from which it counts."""
        if self.declared.start is None and isinstance(self.expression, Rate):
            return self.rate_from
        return self.declared.start

    @property
    def fires_are_known(self) -> bool:
        """Return False for a rate whose origin is not known, and with it the times of its fires."""
        return not isinstance(self.expression, Rate) or self.start is not None

    def iterate_occurrences(self, after: datetime) -> Iterator[Occurrence]:
        """Yield its times after ``after``, in order, with those that a clock change skips."""
        return iterate_occurrences(self.expression, after, self.zone, start=self.start, end=self.declared.end)


def resolve_schedule(
    schedule: Schedule, environment: Environment, rate_from: datetime | None = None
) -> EnvironmentSchedule:
    """Return a schedule with the values of an environment."""
    text, enabled = substitute(
        [schedule.expression, schedule.enabled], lambda reference: environment.settings[reference.name]
    )
    switch = next((found.name for found in find_references(schedule.enabled)), None)
    zone = ZoneInfo(schedule.timezone)
    return EnvironmentSchedule(schedule, text, parse(text), enabled == "true", switch, zone, rate_from)


def read_schedules(
    catalog: Catalog, environment: Environment, backend: Backend, now: datetime, names: Sequence[str] | None = None
) -> list[EnvironmentSchedule]:
    """Return the schedules with these names, by default all, with the origins of rates that the backend has."""
    progress = backend.schedule_progress()
    found = []
    for name in catalog.schedules if names is None else names:
        schedule = catalog.schedules[name]
        known = None if isinstance(progress, NotKnown) else progress.get(name)
        resolved = resolve_schedule(schedule, environment, None if known is None else known.first_seen)
        rate = resolved.expression
        if isinstance(progress, NotKnown) and isinstance(rate, Rate) and resolved.enabled and resolved.start is None:
            # On AWS, a rate counts from the creation of the schedule. Any start has the time of one of its fires.
            starts = backend.starts(StartFilter(make_source("schedule", name), since=now - _SEARCHED), limit=1)
            if not isinstance(starts, NotKnown) and starts:
                origin = starts[0].due_at - rate.interval * (_SEARCHED // rate.interval)
                resolved = resolve_schedule(schedule, environment, origin)
        found.append(resolved)
    return found


@dataclass(frozen=True)
class Upcoming:
    """A schedule's next fire, which is None if the schedule never fires again.

    ``skipped`` describes the earlier local times that a clock change skips: the first, the last, and their number.
    """

    schedule: EnvironmentSchedule
    fire: Occurrence | None
    skipped: tuple[datetime, datetime, int] | None
    note: str


def find_upcoming(schedule: EnvironmentSchedule, after: datetime, count: int) -> list[Upcoming]:
    """Return the next fires after a time, at most ``count``. A rate without an origin counts from ``after``."""
    note, found = "", []
    if not schedule.fires_are_known:
        note = "counted from now"
        if schedule.declared.via == "scheduler":
            note += "; the first fire is at its creation"
    skipped: tuple[datetime, datetime, int] | None = None
    for one in schedule.iterate_occurrences(after):
        if one.fires:
            found.append(Upcoming(schedule, one, skipped, note))
            skipped = None
            if len(found) == count:
                return found
        else:
            skipped = (
                (one.local_time, one.local_time, 1) if skipped is None else (skipped[0], one.local_time, skipped[2] + 1)
            )
    found.append(Upcoming(schedule, None, skipped, ""))
    return found


def describe_skipped(skipped: tuple[datetime, datetime, int], time_format: str) -> tuple[str, str]:
    """Return the local times that a clock change skips, and the reason."""
    first, last, times = skipped
    until = "" if times == 1 else f"…{last:%H:%M}" if first.date() == last.date() else f"…{last:{time_format}}"
    count = "" if times == 1 else f" ({times} times)"
    return f"{first:{time_format}}{until}", f"skipped: clocks go forward{count}"


def find_fires(
    schedule: EnvironmentSchedule, after: datetime, until: datetime, most: int = MOST_LATE
) -> list[datetime]:
    """Return the last ``most`` fires after ``after`` up to and including ``until``."""
    span = timedelta(hours=1)
    while True:
        begin = max(after, until - span)
        found = []
        for one in schedule.iterate_occurrences(begin):
            if one.instant > until:
                break
            if one.fires:
                found.append(one.instant)
        if len(found) >= most or begin == after:
            return found[-most:]
        span *= 4


def find_undecided(schedule: EnvironmentSchedule, progress: ScheduleProgress | None, until: datetime) -> list[datetime]:
    """Return the fires up to ``until`` that the engine has not decided, the last ones if there are many.

    The engine decides them when it runs again: it starts the target, or records that they were missed. One that it has
    not loaded, or has loaded as disabled, fires only after that.
    """
    if progress is None or not (schedule.enabled and progress.enabled):
        return []
    return find_fires(schedule, progress.decided_until, until)
