"""Print a simulation: as a chart and a table, or as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, timedelta, tzinfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry.cli.inspect import timeline
from nightferry.cli.terminal.options import print_json
from nightferry.cli.terminal.output import Terminal
from nightferry.presentation.durations import format_duration
from nightferry.presentation.schedules.simulation import (
    Durations,
    describe_clock_changes,
    describe_overlaps,
    simulation_to_json,
)
from nightferry.schedules.simulation import SimulatedStart, Simulation

_MAX_NAME_WIDTH = 24  # characters of a schedule's name
_MAX_CLOCK_CHANGES = 5  # lines about clock changes


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
    found = describe_overlaps(simulation.starts)
    if found:
        console.print("\nOverlaps", style="bold")
    for one in found:
        first = timeline.to_local_time(one.starts[0].fire, zone)
        console.print(Text(f"  {one.text}: {one.number}, first {first:%a %Y-%m-%d %H:%M}"))


def _print_clock_changes(console: Console, simulation: Simulation) -> None:
    zones = {planned.name: planned.zone for planned in simulation.planned}
    lines = [
        f"  {one.schedule}: {one} in {zones[one.schedule]}, {one.effect}"
        for one in describe_clock_changes(simulation.clock_changes)
    ]
    if lines:
        console.print("\nClock changes", style="bold")
    for text in lines[:_MAX_CLOCK_CHANGES]:
        console.print(Text(text))
    if len(lines) > _MAX_CLOCK_CHANGES:
        console.print(f"  and {len(lines) - _MAX_CLOCK_CHANGES} more days; use --json to list all")


def print_simulation_json(simulation: Simulation, durations: Durations, disabled: list[str], unknown: str) -> None:
    """Print the simulation as JSON."""
    print_json(simulation_to_json(simulation, durations, disabled, unknown))
