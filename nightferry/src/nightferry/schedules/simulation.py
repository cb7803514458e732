"""What would run when: schedules in virtual time.

A simulation takes every fire of a period in order, asks the overlap rule of what it starts, and notes from when to
when it runs. It knows no clock and starts nothing. Starts of different workflows and tasks meet where they run the
same task at the same time and that task does not allow it: its lease belongs to one of them.
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
from nightferry.schedules.expressions import Cron, Expression, Occurrence, occurrences

Outcome = Literal["runs", "waits", "skipped", "replaced"]


@dataclass(frozen=True)
class Planned:
    """A schedule: when it fires, what it starts, by which overlap rule, and how long that takes.

    ``start`` and ``end`` bound its fires; without a start, a rate is counted from where the simulation begins.
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
    """One fire and what comes of it. ``begin`` and ``end`` are equal to ``fire`` where it is skipped.

    ``outcome``: it runs, it waits for the one before it, it is skipped because that one runs, or it runs and is
    stopped (replaced) by the one after it. ``meets`` names what else runs at the same time and should not, by the
    rule of a task that both run; it names its own target where that allows two at once.
    """

    planned: Planned
    fire: datetime
    begin: datetime
    end: datetime
    outcome: Outcome = "runs"
    meets: set[str] = field(default_factory=set)

    @property
    def overlaps(self) -> bool:
        """Return True if another run is active then, or if the start has another outcome for it."""
        return bool(self.meets) or self.outcome != "runs"


@dataclass(frozen=True)
class Summary:
    """A schedule's share of a simulation.

    Runs that began, time of all runs, starts that met another, were skipped, waited or were replaced; and the run that
    ended longest after its fire.
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
    """All starts in the order of their fires, and the times of each schedule that a change of the clocks concerns."""

    since: datetime
    until: datetime
    planned: tuple[Planned, ...]
    starts: list[SimulatedStart]
    clock_changes: dict[str, list[Occurrence]]

    def summaries(self) -> list[Summary]:
        """One for each schedule, in their order."""
        of: dict[str, list[SimulatedStart]] = defaultdict(list)
        for start in self.starts:
            of[start.planned.name].append(start)
        return [_summary(planned.name, of[planned.name]) for planned in self.planned]


def simulate(planned: Sequence[Planned], rules: Mapping[str, Overlap], since: datetime, until: datetime) -> Simulation:
    """What these schedules start from ``since`` to before ``until``; ``rules`` are the overlap rules of all tasks."""
    starts: list[SimulatedStart] = []
    clock_changes: dict[str, list[Occurrence]] = defaultdict(list)
    before: dict[str, list[SimulatedStart]] = defaultdict(list)  # by target: those that may still run
    for occurrence, _, plan in heapq.merge(*(_fires(number, plan, since, until) for number, plan in enumerate(planned)),
                                           key=lambda fire: (fire[0].instant, fire[1])):  # fmt: skip
        if occurrence.change:
            clock_changes[plan.name].append(occurrence)
        if occurrence.fires:
            running = before[plan.target] = [one for one in before[plan.target] if one.end > occurrence.instant]
            start = _start(plan, occurrence.instant, running)
            starts.append(start)
            if start.outcome == "waits":
                before[plan.target] = [start]  # it ends last; the next one waits for it alone
            elif start.outcome != "skipped":
                running.append(start)
    _meet(starts, rules)
    return Simulation(since, until, tuple(planned), starts, dict(clock_changes))


def _fires(number: int, plan: Planned, since: datetime, until: datetime) -> Iterator[tuple[Occurrence, int, Planned]]:
    after = since - timedelta.resolution if isinstance(plan.expression, Cron) or plan.start else since
    for one in occurrences(plan.expression, after, plan.zone, start=plan.start, end=plan.end):
        if one.instant >= until:
            return
        yield one, number, plan


def _start(plan: Planned, fire: datetime, running: list[SimulatedStart]) -> SimulatedStart:
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


def _meet(starts: Iterable[SimulatedStart], rules: Mapping[str, Overlap]) -> None:
    """Note where two targets run a task at the same time that does not allow it."""
    spans: dict[str, list[tuple[datetime, datetime, SimulatedStart]]] = defaultdict(list)
    for start in starts:
        for span in start.planned.length.spans:
            begin, end = start.begin + span.begin, min(start.begin + span.end, start.end)
            if rules.get(span.task, "allow") != "allow" and begin < end:
                spans[span.task].append((begin, end, start))
    for of_task in spans.values():
        of_task.sort(key=lambda span: span[0])
        active: list[tuple[datetime, datetime, SimulatedStart]] = []
        for begin, end, start in of_task:
            active = [one for one in active if one[1] > begin]
            for _, _, other in active:
                if other.planned.target != start.planned.target:
                    other.meets.add(start.planned.target)
                    start.meets.add(other.planned.target)
            active.append((begin, end, start))


def _summary(name: str, starts: list[SimulatedStart]) -> Summary:
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
