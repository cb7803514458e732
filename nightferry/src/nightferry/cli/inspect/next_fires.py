"""``nightferry next``: show the next times of schedules, in their time zone and in UTC."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from nightferry.backend.request_checks import get_schedule
from nightferry.cli.terminal.completion import complete_schedule
from nightferry.cli.terminal.options import AsJson, Env, print_json
from nightferry.cli.terminal.output import Terminal, print_rows
from nightferry.cli.terminal.rates import read_first_seen
from nightferry.clock import get_clock
from nightferry.environments.project import Project
from nightferry.presentation.schedules.schedules import Upcoming, describe_skipped, find_upcoming, resolve_schedule
from nightferry.presentation.times import TIME_FORMATS, parse_time

_TIME_FORMAT = "%a %Y-%m-%d %H:%M"


def next_fires(
    schedule: Annotated[
        str | None,
        typer.Argument(
            help="A declared schedule. Default: all.", metavar="SCHEDULE", autocompletion=complete_schedule
        ),
    ] = None,
    env: Env = "local",
    count: Annotated[int, typer.Option(help="Number of fires for each schedule.", min=1)] = 3,
    at: Annotated[
        str | None,
        typer.Option(help=f"Show the fires after this time: {TIME_FORMATS}. Default: now.", metavar="TIME"),
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show the next times of schedules, in their own time zone and in UTC.

    Local times that a clock change skips or repeats are marked. A rate counts from its declared start, otherwise from
    the time when the engine first loaded it, otherwise from now.
    """
    project = Project.find()
    environment = project.environment(env)
    catalog = project.catalog
    declared = list(catalog.schedules.values()) if schedule is None else [get_schedule(catalog, schedule)]
    start = get_clock().now() if at is None else parse_time("--at", at)
    first_seen = read_first_seen(project, environment)
    found: list[Upcoming] = []
    for one in declared:
        found += find_upcoming(resolve_schedule(one, environment, first_seen.get(one.name)), start, count)
    if as_json:
        print_json([_to_json(one) for one in found if one.fire is not None])
        return
    _print(found, env)


def _print(found: list[Upcoming], env: str) -> None:
    """Print the fires grouped by schedule on a terminal, and one per line in a pipe."""
    console = Terminal()
    if not found:
        console.print("None declared.")
    previous = ""
    for one in found:
        schedule = one.schedule
        if console.is_terminal and schedule.name != previous:
            off = "" if schedule.enabled else f"  disabled in {env}"
            console.print(Text(previous and "\n").append(schedule.name, style="bold"), end="")
            console.print(Text(f"  {schedule.text}  {schedule.declared.timezone}{off}"), soft_wrap=True)
            previous = schedule.name
        for local, utc, note in _format_rows(one):
            if console.is_terminal:
                line = f"  {local:<24}  {f'{utc} UTC' if utc != '-' else '':<24}  {note}"
                console.print(Text(line.rstrip()), soft_wrap=True)
            else:
                off = "" if schedule.enabled else f"disabled in {env}"
                notes = "; ".join(filter(None, [note, off]))
                print_rows(console, [(schedule.name, local, schedule.declared.timezone, utc, notes)])


def _format_rows(one: Upcoming) -> list[tuple[str, str, str]]:
    """Return rows of local time, UTC and a note, with "-" for a missing time."""
    rows = []
    if one.skipped is not None:
        times, reason = describe_skipped(one.skipped, _TIME_FORMAT)
        rows.append((times, "-", reason))
    if one.fire is None:
        return [*rows, ("-", "-", "no further fires")]
    local = one.fire.instant.astimezone(one.schedule.zone)
    repeated = "first of two: clocks go back" if one.fire.change == "repeated" else ""
    note = "; ".join(filter(None, [repeated, one.note]))
    return [*rows, (f"{local:{_TIME_FORMAT} %Z}", f"{one.fire.instant:{_TIME_FORMAT}}", note)]


def _to_json(one: Upcoming) -> dict[str, Any]:
    assert one.fire is not None
    skipped = None
    if one.skipped is not None:
        first, last, times = one.skipped
        skipped = {"first": first.isoformat(), "last": last.isoformat(), "times": times}
    return {
        "schedule": one.schedule.name,
        "expression": one.schedule.text,
        "timezone": one.schedule.declared.timezone,
        "enabled": one.schedule.enabled,
        "utc": one.fire.instant.isoformat(),
        "local": one.fire.instant.astimezone(one.schedule.zone).isoformat(),
        "repeated": one.fire.change == "repeated",
        "skipped": skipped,
    }
