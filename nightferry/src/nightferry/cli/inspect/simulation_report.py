"""A simulation for people, drawn and in a table, and for machines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta, tzinfo
from statistics import quantiles

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry.backend.interface import TaskRun
from nightferry.catalog.declarations import Task
from nightferry.cli.inspect import timeline
from nightferry.cli.terminal.lines import duration
from nightferry.cli.terminal.options import print_json
from nightferry.schedules.expressions import Occurrence
from nightferry.schedules.simulation import SimulatedStart, Simulation

_NAME = 24  # characters of a schedule's name
_FEW = 5  # lines of a kind, before "and so on"


class Durations:
    """How long each task takes, asked for once, and where that is known from."""

    def __init__(self, tasks: Mapping[str, Task], history: Callable[[Task], list[TaskRun]], percentile: int) -> None:
        self._tasks = tasks
        self._history = history
        self._percentile = percentile
        self.known: dict[str, tuple[timedelta, str]] = {}

    def __call__(self, task: str) -> timedelta:
        """Return how long the task is expected to run."""
        if task not in self.known:
            self.known[task] = self._find(self._tasks[task])
        return self.known[task][0]

    def _find(self, task: Task) -> tuple[timedelta, str]:
        ended = [run for run in self._history(task) if run.succeeded and run.started_at and run.stopped_at]
        took = [(run.stopped_at - run.started_at).total_seconds() for run in ended if run.stopped_at and run.started_at]
        if took:
            seconds = took[0] if len(took) == 1 else quantiles(took, n=100, method="inclusive")[self._percentile - 1]
            of = "median" if self._percentile == 50 else f"percentile {self._percentile}"
            return timedelta(seconds=max(seconds, 0)), f"{of} of {len(took)} runs" if len(took) > 1 else "its one run"
        if task.expected is not None:
            return task.expected, "as expected: no run is known"
        return task.time_limit, "its time limit: no run is known"


def draw(simulation: Simulation, durations: Durations, off: list[str], env: str, unknown: str) -> None:
    """The drawing, the table, and what is to be known of both; ``unknown`` is why there is no history, if so."""
    console = Console(highlight=False)
    zone = _zone(simulation)
    since, until = (timeline.wall(time, zone) for time in (simulation.since, simulation.until))
    console.print(f"{env}, {since:%a %Y-%m-%d %H:%M} to {until:%a %Y-%m-%d %H:%M} {zone}", soft_wrap=True)
    if not simulation.planned:
        console.print(f"No schedule is switched on in {env}.")
    else:
        unicode = console.encoding.lower().startswith("utf")
        _lanes(console, simulation, zone, timeline.Glyphs() if unicode else timeline.PLAIN)
        _summary(console, simulation, zone)
        _overlaps(console, simulation, zone)
        _clock_changes(console, simulation)
        console.print("\nDurations", style="bold")
        for task, (length, source) in sorted(durations.known.items()):
            console.print(Text(f"  {task}: {duration(length.total_seconds())} ({source})"))
        if unknown:
            console.print(Text(f"No runs of {env} are known. {unknown}"))
    if off:
        console.print(Text(f"\nSwitched off in {env}: {', '.join(off)}"))


def _zone(simulation: Simulation) -> tzinfo:
    """The zone of most schedules."""
    zones = Counter(planned.zone for planned in simulation.planned)
    return zones.most_common(1)[0][0] if zones else UTC


def _lanes(console: Console, simulation: Simulation, zone: tzinfo, glyphs: timeline.Glyphs) -> None:
    width = max(min(max(len(planned.name) for planned in simulation.planned), _NAME), 8)
    room = min(console.width, 120) - width - 2
    of: dict[str, list[SimulatedStart]] = defaultdict(list)
    for start in simulation.starts:
        of[start.planned.name].append(start)
    since, days = timeline.wall(simulation.since, zone), (simulation.until - simulation.since) // timeline.DAY
    if days > 1:
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
        shown = days + (midnight != since)
        cell = timeline.DAY / (room // shown) if shown <= room else timeline.DAY * -(-shown // room)
        cells = min(-(-(shown * timeline.DAY) // cell), room)
        each = f"{cell // timeline.HOUR} h" if cell < timeline.DAY else f"{cell.days} d"
        console.print(f"\nDays ({each} a column)", style="bold")
        console.print(Text(f"{'':{width}}  {timeline.days_ruler(midnight, cell, cells)}"))
        for planned in simulation.planned:
            lane = timeline.line(of[planned.name], zone, midnight, cell, cells, glyphs)
            _lane(console, planned.name, width, lane, glyphs)
    cells = max(n for n in (24, 48, 72, 96) if n <= max(room, 24))
    console.print(f"\nHours of the day ({24 * 60 // cells} min a column)", style="bold")
    console.print(Text(f"{'':{width}}  {timeline.hours_ruler(cells)}"))
    for planned in simulation.planned:
        _lane(console, planned.name, width, timeline.day(of[planned.name], zone, cells, glyphs), glyphs)
    console.print(Text(f"{glyphs.busy} runs   {glyphs.overlap} overlaps, waits or is skipped", style="dim"))


def _lane(console: Console, name: str, width: int, lane: str, glyphs: timeline.Glyphs) -> None:
    shown = name if len(name) <= width else f"{name[: width - 1]}~"
    text = Text(f"{shown:{width}}  ").append(lane)
    text.highlight_regex(f"[{glyphs.overlap}]+", "bold red")
    text.highlight_regex(f"[{glyphs.busy}]+", "green")
    console.print(text, soft_wrap=True)


def _summary(console: Console, simulation: Simulation, zone: tzinfo) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("Schedule", overflow="fold")
    for column in ("Starts", "Busy", "Overlaps", "Skipped"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("Latest end", no_wrap=True)
    for one in simulation.summaries():
        busy, latest = _length(one.busy), ""
        if one.latest is not None:
            end = timeline.wall(one.latest.end, zone)
            days = (end.date() - timeline.wall(one.latest.fire, zone).date()).days
            latest = f"{end:%H:%M}" + (f" +{days} d" if days else "")
        table.add_row(one.name, str(one.starts), busy, str(one.overlaps), str(one.skipped), latest)
    console.print()
    console.print(table)


def _length(time: timedelta) -> str:
    seconds = time.total_seconds()
    return duration(seconds) if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def _overlaps(console: Console, simulation: Simulation, zone: tzinfo) -> None:
    """Each kind of overlap once: how often, and the first time."""
    found: dict[str, list[SimulatedStart]] = defaultdict(list)
    for start in simulation.starts:
        name = start.planned.name
        match start.outcome:
            case "skipped":
                found[f"{name} is skipped: {start.planned.target} still runs"].append(start)
            case "waits":
                found[f"{name} waits: {start.planned.target} still runs"].append(start)
            case "replaced":
                found[f"{name} is stopped for the next start of {start.planned.target}"].append(start)
        for other in sorted(start.meets):
            alike = other == start.planned.target
            text = f"runs beside another run of {other}" if alike else f"runs a task that {other} runs at the same time"
            found[f"{name} {text}"].append(start)
    if found:
        console.print("\nOverlaps", style="bold")
    for text, starts in found.items():
        first = timeline.wall(starts[0].fire, zone)
        times = "once" if len(starts) == 1 else f"{len(starts)} times"
        console.print(Text(f"  {text}: {times}, first {first:%a %Y-%m-%d %H:%M}"))


def _clock_changes(console: Console, simulation: Simulation) -> None:
    lines = []
    for name, occurrences in simulation.clock_changes.items():
        zone = next(planned.zone for planned in simulation.planned if planned.name == name)
        days: dict[tuple[str, object], list[Occurrence]] = defaultdict(list)
        for one in occurrences:
            days[(one.change, one.wall.date())].append(one)
        for (change, _), ones in days.items():
            times = f"{ones[0].wall:%a %Y-%m-%d %H:%M}" + (f"…{ones[-1].wall:%H:%M}" if len(ones) > 1 else "")
            says = "the clocks skip it: no start" if change == "skipped" else "shown twice: starts the first time only"
            lines.append(f"  {name}: {times} in {zone}, {says}")
    if lines:
        console.print("\nChanges of the clocks", style="bold")
    for text in lines[:_FEW]:
        console.print(Text(text))
    if len(lines) > _FEW:
        console.print(f"  and {len(lines) - _FEW} more days; --json has all of them")


def for_machines(simulation: Simulation, durations: Durations, off: list[str], unknown: str) -> None:
    """Everything as JSON: durations in seconds, times in UTC, local times as the schedule's clocks show them."""
    print_json(
        {
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
                for one in simulation.summaries()
            ],
            "switched_off": off,
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
                {"schedule": name, "local": one.wall, "change": one.change}
                for name, occurrences in simulation.clock_changes.items()
                for one in occurrences
            ],
            "durations": {
                task: {"seconds": length.total_seconds(), "source": source}
                for task, (length, source) in durations.known.items()
            },
        }
    )
