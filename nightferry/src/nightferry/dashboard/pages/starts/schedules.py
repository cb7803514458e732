"""All schedules: their next and last starts, what was missed, and the simulation of the next days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup
from starlette.responses import Response

from nightferry.backend.queries import Count
from nightferry.backend.starts import NotKnown, Start, StartFilter, StartOutcome, make_source
from nightferry.dashboard.estimates.usual_lengths import UsualLengths
from nightferry.dashboard.pages.starts.triggers import describe_fact
from nightferry.dashboard.svg.lanes import Calendar, draw_lane
from nightferry.dashboard.view import View
from nightferry.presentation.durations import format_duration
from nightferry.presentation.schedules.late_fires import LateFires, find_late_fires
from nightferry.presentation.schedules.schedules import (
    EnvironmentSchedule,
    Upcoming,
    find_fires,
    find_upcoming,
    read_schedules,
)
from nightferry.presentation.schedules.simulation import (
    ClockChange,
    describe_clock_changes,
    describe_overlaps,
    list_policies,
    plan_schedules,
    simulation_to_json,
)
from nightferry.schedules.simulation import SimulatedStart, Simulation, simulate

_MOST_DAYS = 31
_MOST_FIRES = 5_000  # in a simulation
_DAY = timedelta(days=1)
_NEXT_FIRES = 3
_RECENT = timedelta(days=7)  # the period of the counts of missed and skipped starts
_BULK = timedelta(days=2)  # the period in which the starts of all schedules are read at once
_MOST_STARTS = 500
_LAST = timedelta(days=35)  # the period in which a last start is searched


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule with its next fires, its last start, and its recent starts that were not made."""

    schedule: EnvironmentSchedule
    upcoming: Sequence[Upcoming]
    last: Start | NotKnown | None
    missed: Count | NotKnown
    skipped: Count | NotKnown
    late: LateFires | None
    clock_changes: Sequence[ClockChange]


@dataclass(frozen=True)
class Lane:
    """The simulated starts of one target."""

    target: str
    schedules: tuple[str, ...]
    picture: Markup


def show(view: View) -> Response:
    """Show all schedules, and simulate the days of the query."""
    now = view.site.clock.now()
    schedules = read_schedules(view.catalog, view.environment, view.backend, now)
    since, wanted_days = view.time("from") or now, view.number("days", 7, _MOST_DAYS)
    days = min(wanted_days, _limit_days(schedules, since))
    calendar = Calendar.make(since, days, view.zone)
    durations = view.site.get_shared(UsualLengths).expect()
    planned = plan_schedules(view.catalog, schedules, durations)
    simulation = simulate(planned, list_policies(view.catalog), calendar.begin, calendar.end)
    changes = describe_clock_changes(simulation.clock_changes)
    late = {one.schedule.name: one for one in find_late_fires(view.backend, schedules, now)}
    recent = _find_recent_starts(view, now)
    rows = [_make_row(view, one, now, recent, late.get(one.name), changes) for one in schedules]
    disabled = [one.name for one in schedules if not one.enabled]
    return view.page(
        "schedules.html",
        title="Schedules",
        json=view.as_json
        and {
            "schedules": [_to_json(row) for row in rows],
            "simulation": simulation_to_json(simulation, durations, disabled, ""),
        },
        shortened=days < wanted_days,
        rows=rows,
        late=list(late.values()),
        since=now - _RECENT,
        calendar=calendar,
        lanes=_draw_lanes(simulation, calendar, now),
        overlaps=describe_overlaps(simulation.starts),
        clock_changes=changes,
        durations=sorted(durations.known.items()),
    )


def _limit_days(schedules: Sequence[EnvironmentSchedule], since: datetime) -> int:
    """Return the number of days that have about as many fires as a page can simulate, judged by the first day."""
    fires = sum(len(find_fires(one, since, since + _DAY, _MOST_FIRES)) for one in schedules if one.enabled)
    return max(1, _MOST_FIRES // max(fires, 1))


def _find_recent_starts(view: View, now: datetime) -> dict[str, Start]:
    """Return the last start of each source in one query, because each query of one source is a request on AWS."""
    starts = view.backend.starts(StartFilter(since=now - _BULK), limit=_MOST_STARTS)
    return {} if isinstance(starts, NotKnown) else {start.source: start for start in reversed(starts)}


def _make_row(
    view: View,
    schedule: EnvironmentSchedule,
    now: datetime,
    recent: Mapping[str, Start],
    late: LateFires | None,
    changes: Sequence[ClockChange],
) -> ScheduleRow:
    source = make_source("schedule", schedule.name)

    def count(outcome: StartOutcome) -> Count | NotKnown:
        return view.backend.count_starts(StartFilter(source, outcome, since=now - _RECENT), limit=1000)

    last: Start | NotKnown | None = recent.get(source)
    if last is None:
        older = view.backend.starts(StartFilter(source, since=now - _LAST), limit=1)
        last = older if isinstance(older, NotKnown) else next(iter(older), None)
    return ScheduleRow(
        schedule,
        find_upcoming(schedule, now, _NEXT_FIRES) if schedule.enabled and schedule.fires_are_known else (),
        last,
        count("missed"),
        count("skipped"),
        late,
        [change for change in changes if change.schedule == schedule.name],
    )


def _draw_lanes(simulation: Simulation, calendar: Calendar, now: datetime) -> list[Lane]:
    starts: dict[str, list[SimulatedStart]] = defaultdict(list)
    for start in simulation.starts:
        starts[start.planned.target].append(start)
    schedules: dict[str, list[str]] = defaultdict(list)
    for planned in simulation.planned:
        schedules[planned.target].append(planned.name)
    return [
        Lane(target, tuple(names), draw_lane(_describe_lane(target, starts[target]), starts[target], calendar, now))
        for target, names in schedules.items()
    ]


def _describe_lane(target: str, starts: Sequence[SimulatedStart]) -> str:
    """Return the content of a lane for readers who do not see it."""
    ran = [start for start in starts if start.outcome != "skipped"]
    busy = format_duration(sum((start.end - start.begin).total_seconds() for start in ran))
    overlaps = sum(start.overlaps for start in starts)
    return f"{target}: {len(ran)} starts, {busy} in all, {overlaps} overlap, wait or are skipped"


def _to_json(row: ScheduleRow) -> dict[str, object]:
    schedule = row.schedule
    return {
        "name": schedule.name,
        "target": schedule.declared.target,
        "kind": schedule.declared.kind,
        "expression": schedule.text,
        "words": schedule.words,
        "timezone": schedule.declared.timezone,
        "enabled": schedule.enabled,
        "upcoming": [one.fire.instant for one in row.upcoming if one.fire is not None],
        "last_start": describe_fact(row.last),
        "missed": row.missed.number if isinstance(row.missed, Count) else None,
        "skipped": row.skipped.number if isinstance(row.skipped, Count) else None,
        "late": list(row.late.fires) if row.late else [],
    }
