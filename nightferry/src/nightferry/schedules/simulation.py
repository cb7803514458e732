"""A simulation of schedules in virtual time.

It processes every fire of a period in order, applies the target's overlap policy, and records the begin and end of each
run. It reads no clock and starts nothing. Starts of different targets conflict (``meets``) if they run the same task at
the same time and that task's overlap policy is not ``allow``, because only one of them can hold the task's lease.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from nightferry.contract import Overlap
from nightferry.schedules.durations import Length
from nightferry.schedules.expressions import Cron, Expression, Occurrence, iterate_occurrences

Outcome = Literal["runs", "waits", "skipped", "replaced"]


@dataclass(frozen=True)
class Planned:
    """A schedule with its target, the target's overlap policy and its expected length.

    ``start`` and ``end`` bound its fires; without ``start``, a rate is counted from the simulation's beginning.
    """

    name: str
    target: str
    expression: Expression
    zone: tzinfo
    overlap: Overlap
    length: Length
    start: datetime | None = None
    end: datetime | None = None


@dataclass(slots=True)
class SimulatedStart:
    """One fire and its result. ``begin`` and ``end`` are equal to ``fire`` if it is skipped.

    ``outcome``: it runs, it waits for the previous start, it is skipped because the previous one is running, or it runs
    until the next start replaces it. ``meets`` names the other targets that run at the same time in conflict with the
    overlap policy of a task that both run; it names the start's own target if that allows two runs at once.
    """

    planned: Planned
    fire: datetime
    begin: datetime
    end: datetime
    outcome: Outcome = "runs"
    meets: set[str] = field(default_factory=set)

    @property
    def overlaps(self) -> bool:
        """True if the start overlaps another run, or if its outcome is not "runs"."""
        return bool(self.meets) or self.outcome != "runs"


@dataclass(frozen=True)
class Summary:
    """The totals of one schedule.

    ``starts`` counts the runs that began; ``busy`` is their total duration; ``overlaps``, ``skipped``, ``waited`` and
    ``replaced`` count starts; ``latest`` is the run that ended longest after its fire.
    """

    name: str
    starts: int
    busy: timedelta
    overlaps: int
    skipped: int
    waited: int
    replaced: int
    latest: SimulatedStart | None


@dataclass(frozen=True)
class Simulation:
    """All starts in the order of their fires, and the times of each schedule that a clock change affects."""

    since: datetime
    until: datetime
    planned: tuple[Planned, ...]
    starts: list[SimulatedStart]
    clock_changes: dict[str, list[Occurrence]]

    def summarize(self) -> list[Summary]:
        """Return the totals of each schedule, in order of declaration."""
        starts_by_name: dict[str, list[SimulatedStart]] = defaultdict(list)
        for start in self.starts:
            starts_by_name[start.planned.name].append(start)
        return [_summarize(planned.name, starts_by_name[planned.name]) for planned in self.planned]


def simulate(
    planned: Sequence[Planned], policies: Mapping[str, Overlap], since: datetime, until: datetime
) -> Simulation:
    """Simulate schedules from ``since`` (included) to ``until``; ``policies`` are the overlap policies of all tasks."""
    starts: list[SimulatedStart] = []
    clock_changes: dict[str, list[Occurrence]] = defaultdict(list)
    before: dict[str, list[SimulatedStart]] = defaultdict(list)  # by target: the starts that may still run
    fires = [_iterate_fires(number, plan, since, until) for number, plan in enumerate(planned)]
    for occurrence, _, plan in heapq.merge(*fires, key=lambda fire: (fire[0].instant, fire[1])):
        if occurrence.change:
            clock_changes[plan.name].append(occurrence)
        if occurrence.fires:
            running = before[plan.target] = [one for one in before[plan.target] if one.end > occurrence.instant]
            start = _plan_start(plan, occurrence.instant, running)
            starts.append(start)
            if start.outcome == "waits":
                before[plan.target] = [start]  # it ends last, so the next one waits only for it
            elif start.outcome != "skipped":
                running.append(start)
    _find_conflicts(starts, policies)
    return Simulation(since, until, tuple(planned), starts, dict(clock_changes))


def _iterate_fires(
    number: int, plan: Planned, since: datetime, until: datetime
) -> Iterator[tuple[Occurrence, int, Planned]]:
    after = since - timedelta.resolution if isinstance(plan.expression, Cron) or plan.start else since
    for one in iterate_occurrences(plan.expression, after, plan.zone, start=plan.start, end=plan.end):
        if one.instant >= until:
            return
        yield one, number, plan


def _plan_start(plan: Planned, fire: datetime, running: list[SimulatedStart]) -> SimulatedStart:
    start = SimulatedStart(plan, fire, fire, fire + plan.length.total)
    if not running:
        return start
    match plan.overlap:
        case "allow":
            start.meets.add(plan.target)
            for one in running:
                one.meets.add(plan.target)
        case "skip":
            start.outcome, start.end = "skipped", fire
        case "queue":
            start.outcome, start.begin = "waits", max(one.end for one in running)
            start.end = start.begin + plan.length.total
        case "replace":
            for one in running:
                one.outcome, one.end = "replaced", fire
    return start


def _find_conflicts(starts: Iterable[SimulatedStart], policies: Mapping[str, Overlap]) -> None:
    """Record pairs of targets that run a task at the same time although its overlap policy is not ``allow``."""
    spans: dict[str, list[tuple[datetime, datetime, SimulatedStart]]] = defaultdict(list)
    for start in starts:
        for span in start.planned.length.spans:
            begin, end = start.begin + span.begin, min(start.begin + span.end, start.end)
            if policies.get(span.task, "allow") != "allow" and begin < end:
                spans[span.task].append((begin, end, start))
    for task_spans in spans.values():
        task_spans.sort(key=lambda span: span[0])
        active: list[tuple[datetime, datetime, SimulatedStart]] = []
        for begin, end, start in task_spans:
            active = [one for one in active if one[1] > begin]
            for _, _, other in active:
                if other.planned.target != start.planned.target:
                    other.meets.add(start.planned.target)
                    start.meets.add(other.planned.target)
            active.append((begin, end, start))


def _summarize(name: str, starts: list[SimulatedStart]) -> Summary:
    ran = [start for start in starts if start.outcome != "skipped"]
    return Summary(
        name=name,
        starts=len(ran),
        busy=sum((start.end - start.begin for start in ran), timedelta()),
        overlaps=sum(start.overlaps for start in starts),
        skipped=sum(start.outcome == "skipped" for start in starts),
        waited=sum(start.outcome == "waits" for start in starts),
        replaced=sum(start.outcome == "replaced" for start in starts),
        latest=max(ran, key=lambda start: start.end - start.fire, default=None),
    )
