"""The simulation of an environment's schedules, with real durations, and its overlaps and clock changes in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from nightferry.backend.runs import RunSummary
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task
from nightferry.contract import Overlap
from nightferry.presentation.durations import find_percentile
from nightferry.presentation.schedules.schedules import EnvironmentSchedule
from nightferry.schedules.durations import Length, Span, measure_workflow
from nightferry.schedules.expressions import Occurrence
from nightferry.schedules.simulation import Planned, SimulatedStart, Simulation

RUNS_PER_TASK = 100
"""The number of a task's last runs from which its duration is estimated."""


class Durations:
    """The expected duration of each task, computed once, and its source."""

    def __init__(
        self, tasks: Mapping[str, Task], history: Callable[[Task], Sequence[RunSummary]], percentile: int = 50
    ) -> None:
        self._tasks = tasks
        self._history = history
        self._percentile = percentile
        self.known: dict[str, tuple[timedelta, str]] = {}

    def __call__(self, task: str) -> timedelta:
        """Return the expected duration of the task."""
        if task not in self.known:
            self.known[task] = self._find(self._tasks[task])
        return self.known[task][0]

    def _find(self, task: Task) -> tuple[timedelta, str]:
        took = [run.seconds for run in self._history(task) if run.succeeded and run.seconds is not None]
        if took:
            seconds = find_percentile(took, self._percentile) or 0
            of = "median" if self._percentile == 50 else f"percentile {self._percentile}"
            return timedelta(seconds=seconds), f"{of} of {len(took)} runs" if len(took) > 1 else "its one run"
        if task.expected is not None:
            return task.expected, "expected duration: no runs"
        return task.time_limit, "time limit: no runs"


def plan_schedules(
    catalog: Catalog, schedules: Iterable[EnvironmentSchedule], durations: Callable[[str], timedelta]
) -> list[Planned]:
    """Return the enabled schedules with the lengths of their targets."""
    planned = []
    for schedule in schedules:
        if not schedule.enabled:
            continue
        target = schedule.declared.target
        if schedule.declared.kind == "workflow":
            overlap = catalog.workflows[target].overlap
            length = measure_workflow(catalog.workflows[target].definition, durations)
        else:
            overlap = catalog.tasks[target].overlap
            total = durations(target)
            length = Length(total, (Span(target, timedelta(), total),))
        planned.append(
            Planned(
                schedule.name,
                target,
                schedule.expression,
                schedule.zone,
                overlap,
                length,
                schedule.start,
                schedule.declared.end,
            )
        )
    return planned


def list_policies(catalog: Catalog) -> dict[str, Overlap]:
    """Return the overlap policies of all tasks."""
    return {task.name: task.overlap for task in catalog.tasks.values()}


@dataclass(frozen=True)
class OverlapNote:
    """One kind of overlap of a schedule in words, and the starts that have it."""

    text: str
    starts: tuple[SimulatedStart, ...]

    @property
    def number(self) -> str:
        """Return the number of starts in words."""
        return "once" if len(self.starts) == 1 else f"{len(self.starts)} times"


def describe_overlaps(starts: Iterable[SimulatedStart]) -> list[OverlapNote]:
    """Return each kind of overlap once."""
    found: dict[str, list[SimulatedStart]] = defaultdict(list)
    for start in starts:
        for text in describe_overlap(start):
            found[f"{start.planned.name} {text}"].append(start)
    return [OverlapNote(text, tuple(ones)) for text, ones in found.items()]


def describe_overlap(start: SimulatedStart) -> list[str]:
    """Return the overlaps of one start in words, without the name of its schedule."""
    found = []
    match start.outcome:
        case "skipped":
            found.append(f"is skipped: {start.planned.target} is still running")
        case "waits":
            found.append(f"waits: {start.planned.target} is still running")
        case "replaced":
            found.append(f"is stopped by the next start of {start.planned.target}")
    for other in sorted(start.meets):
        same = other == start.planned.target
        found.append(f"overlaps another run of {other}" if same else f"runs a task at the same time as {other}")
    return found


@dataclass(frozen=True)
class ClockChange:
    """The local times of one day at which a clock change affects a schedule."""

    schedule: str
    day: date
    first: datetime
    last: datetime
    effect: str

    def __str__(self) -> str:
        until = f"…{self.last:%H:%M}" if self.last != self.first else ""
        return f"{self.first:%a %Y-%m-%d %H:%M}{until}"


def describe_clock_changes(changes: Mapping[str, Iterable[Occurrence]]) -> list[ClockChange]:
    """Return the effects of clock changes on schedules, a day at a time."""
    found = []
    for name, occurrences in changes.items():
        days: dict[tuple[str, date], list[Occurrence]] = defaultdict(list)
        for one in occurrences:
            days[(one.change, one.local_time.date())].append(one)
        for (change, day), ones in days.items():
            effect = "skipped: no start" if change == "skipped" else "repeated: starts the first time only"
            found.append(ClockChange(name, day, ones[0].local_time, ones[-1].local_time, effect))
    return found


def simulation_to_json(simulation: Simulation, durations: Durations, disabled: list[str], unknown: str) -> object:
    """Return a simulation as JSON: durations in seconds, times in UTC, local times in the schedule's time zone."""
    return {
        "from": simulation.since,
        "until": simulation.until,
        "schedules": [
            {
                "schedule": one.name,
                "starts": one.starts,
                "busy_seconds": one.busy.total_seconds(),
                "overlaps": one.overlaps,
                "skipped": one.skipped,
                "waited": one.waited,
                "replaced": one.replaced,
                "latest_end": None if one.latest is None else one.latest.end,
            }
            for one in simulation.summarize()
        ],
        "switched_off": disabled,
        "history_unknown": unknown or None,
        "starts": [
            {
                "schedule": one.planned.name,
                "target": one.planned.target,
                "fire": one.fire,
                "begin": None if one.outcome == "skipped" else one.begin,
                "end": None if one.outcome == "skipped" else one.end,
                "outcome": one.outcome,
                "meets": sorted(one.meets),
            }
            for one in simulation.starts
        ],
        "clock_changes": [
            {"schedule": name, "local": one.local_time, "change": one.change}
            for name, occurrences in simulation.clock_changes.items()
            for one in occurrences
        ],
        "durations": {
            task: {"seconds": length.total_seconds(), "source": source}
            for task, (length, source) in durations.known.items()
        },
    }
