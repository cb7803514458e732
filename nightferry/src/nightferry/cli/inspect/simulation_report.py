"""Print a simulation: as a chart and a table, or as JSON."""

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
from nightferry.cli.terminal.options import print_json
from nightferry.cli.terminal.output import Terminal
from nightferry.presentation.durations import format_duration
from nightferry.schedules.expressions import Occurrence
from nightferry.schedules.simulation import SimulatedStart, Simulation

_MAX_NAME_WIDTH = 24  # characters of a schedule's name
_MAX_CLOCK_CHANGES = 5  # lines about clock changes


class Durations:
    """The expected duration of each task, computed once, and its source."""

    def __init__(self, tasks: Mapping[str, Task], history: Callable[[Task], list[TaskRun]], percentile: int) -> None:
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
        ended = [run for run in self._history(task) if run.succeeded and run.started_at and run.stopped_at]
        took = [(run.stopped_at - run.started_at).total_seconds() for run in ended if run.stopped_at and run.started_at]
        if took:
            seconds = took[0] if len(took) == 1 else quantiles(took, n=100, method="inclusive")[self._percentile - 1]
            of = "median" if self._percentile == 50 else f"percentile {self._percentile}"
            return timedelta(seconds=max(seconds, 0)), f"{of} of {len(took)} runs" if len(took) > 1 else "its one run"
        if task.expected is not None:
            return task.expected, "expected duration: no runs"
        return task.time_limit, "time limit: no runs"


def print_simulation(simulation: Simulation, durations: Durations, disabled: list[str], env: str, unknown: str) -> None:
    """Print the chart, the table and notes. ``unknown`` is the reason why the run history is missing, if it is."""
    console = Terminal(highlight=False)
    zone = _find_main_zone(simulation)
    since, until = (timeline.to_local_time(time, zone) for time in (simulation.since, simulation.until))
    console.print(f"{env}, {since:%a %Y-%m-%d %H:%M} to {until:%a %Y-%m-%d %H:%M} {zone}", soft_wrap=True)
    if not simulation.planned:
        console.print(f"No schedule is enabled in {env}.")
    else:
        unicode = console.encoding.lower().startswith("utf")
        _draw_rows(console, simulation, zone, timeline.Glyphs() if unicode else timeline.PLAIN)
        _print_summary(console, simulation, zone)
        _print_overlaps(console, simulation, zone)
        _print_clock_changes(console, simulation)
        console.print("\nDurations", style="bold")
        for task, (length, source) in sorted(durations.known.items()):
            console.print(Text(f"  {task}: {format_duration(length.total_seconds())} ({source})"))
        if unknown:
            console.print(Text(f"The run history of {env} is not available. {unknown}"))
    if disabled:
        console.print(Text(f"\nDisabled in {env}: {', '.join(disabled)}"))


def _find_main_zone(simulation: Simulation) -> tzinfo:
    """Return the time zone of most schedules."""
    zones = Counter(planned.zone for planned in simulation.planned)
    return zones.most_common(1)[0][0] if zones else UTC


def _draw_rows(console: Console, simulation: Simulation, zone: tzinfo, glyphs: timeline.Glyphs) -> None:
    width = max(min(max(len(planned.name) for planned in simulation.planned), _MAX_NAME_WIDTH), 8)
    available = min(console.width, 120) - width - 2
    by_name: dict[str, list[SimulatedStart]] = defaultdict(list)
    for start in simulation.starts:
        by_name[start.planned.name].append(start)
    since, days = timeline.to_local_time(simulation.since, zone), (simulation.until - simulation.since) // timeline.DAY
    if days > 1:
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
        shown = days + (midnight != since)
        cell = timeline.DAY / (available // shown) if shown <= available else timeline.DAY * -(-shown // available)
        cells = min(-(-(shown * timeline.DAY) // cell), available)
        each = f"{cell // timeline.HOUR} h" if cell < timeline.DAY else f"{cell.days} d"
        console.print(f"\nDays ({each} per column)", style="bold")
        console.print(Text(f"{'':{width}}  {timeline.draw_days_ruler(midnight, cell, cells)}"))
        for planned in simulation.planned:
            row = timeline.draw_period(by_name[planned.name], zone, midnight, cell, cells, glyphs)
            _print_row(console, planned.name, width, row, glyphs)
    cells = max(n for n in (24, 48, 72, 96) if n <= max(available, 24))
    console.print(f"\nHours of the day ({24 * 60 // cells} min per column)", style="bold")
    console.print(Text(f"{'':{width}}  {timeline.draw_hours_ruler(cells)}"))
    for planned in simulation.planned:
        _print_row(console, planned.name, width, timeline.draw_day(by_name[planned.name], zone, cells, glyphs), glyphs)
    console.print(Text(f"{glyphs.busy} runs   {glyphs.overlap} overlaps, waits or is skipped", style="dim"))


def _print_row(console: Console, name: str, width: int, row: str, glyphs: timeline.Glyphs) -> None:
    shown = name if len(name) <= width else f"{name[: width - 1]}~"
    text = Text(f"{shown:{width}}  ").append(row)
    text.highlight_regex(f"[{glyphs.overlap}]+", "bold red")
    text.highlight_regex(f"[{glyphs.busy}]+", "green")
    console.print(text, soft_wrap=True)


def _print_summary(console: Console, simulation: Simulation, zone: tzinfo) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("Schedule", overflow="fold")
    for column in ("Starts", "Busy", "Overlaps", "Skipped"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("Latest end", no_wrap=True)
    for one in simulation.summarize():
        busy, latest = _format_length(one.busy), ""
        if one.latest is not None:
            end = timeline.to_local_time(one.latest.end, zone)
            days = (end.date() - timeline.to_local_time(one.latest.fire, zone).date()).days
            latest = f"{end:%H:%M}" + (f" +{days} d" if days else "")
        table.add_row(one.name, str(one.starts), busy, str(one.overlaps), str(one.skipped), latest)
    console.print()
    console.print(table)


def _format_length(time: timedelta) -> str:
    seconds = time.total_seconds()
    return format_duration(seconds) if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def _print_overlaps(console: Console, simulation: Simulation, zone: tzinfo) -> None:
    """Print each kind of overlap once, with its number and its first time."""
    found: dict[str, list[SimulatedStart]] = defaultdict(list)
    for start in simulation.starts:
        name = start.planned.name
        match start.outcome:
            case "skipped":
                found[f"{name} is skipped: {start.planned.target} is still running"].append(start)
            case "waits":
                found[f"{name} waits: {start.planned.target} is still running"].append(start)
            case "replaced":
                found[f"{name} is stopped by the next start of {start.planned.target}"].append(start)
        for other in sorted(start.meets):
            same = other == start.planned.target
            text = f"overlaps another run of {other}" if same else f"runs a task at the same time as {other}"
            found[f"{name} {text}"].append(start)
    if found:
        console.print("\nOverlaps", style="bold")
    for text, starts in found.items():
        first = timeline.to_local_time(starts[0].fire, zone)
        times = "once" if len(starts) == 1 else f"{len(starts)} times"
        console.print(Text(f"  {text}: {times}, first {first:%a %Y-%m-%d %H:%M}"))


def _print_clock_changes(console: Console, simulation: Simulation) -> None:
    lines = []
    for name, occurrences in simulation.clock_changes.items():
        zone = next(planned.zone for planned in simulation.planned if planned.name == name)
        days: dict[tuple[str, object], list[Occurrence]] = defaultdict(list)
        for one in occurrences:
            days[(one.change, one.local_time.date())].append(one)
        for (change, _), ones in days.items():
            times = f"{ones[0].local_time:%a %Y-%m-%d %H:%M}" + (
                f"…{ones[-1].local_time:%H:%M}" if len(ones) > 1 else ""
            )
            effect = "skipped: no start" if change == "skipped" else "repeated: starts the first time only"
            lines.append(f"  {name}: {times} in {zone}, {effect}")
    if lines:
        console.print("\nClock changes", style="bold")
    for text in lines[:_MAX_CLOCK_CHANGES]:
        console.print(Text(text))
    if len(lines) > _MAX_CLOCK_CHANGES:
        console.print(f"  and {len(lines) - _MAX_CLOCK_CHANGES} more days; use --json to list all")


def print_simulation_json(simulation: Simulation, durations: Durations, disabled: list[str], unknown: str) -> None:
    """Print the simulation as JSON: durations in seconds, times in UTC, local times in the schedule's time zone."""
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
    )
