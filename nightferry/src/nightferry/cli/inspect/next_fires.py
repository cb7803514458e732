"""``nightferry next``: show the next times of schedules, in their time zone and in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from nightferry.catalog.declarations import Schedule
from nightferry.catalog.references import substitute
from nightferry.cli.terminal.completion import complete_schedule
from nightferry.cli.terminal.options import AsJson, Env, print_json
from nightferry.cli.terminal.output import Terminal, print_rows
from nightferry.cli.terminal.rates import read_first_seen
from nightferry.clock import get_clock
from nightferry.environments.project import Project
from nightferry.errors import UnknownName
from nightferry.presentation.times import TIME_FORMATS, parse_time
from nightferry.schedules.expressions import Expression, Occurrence, Rate, iterate_occurrences, parse

_TIME_FORMAT = "%a %Y-%m-%d %H:%M"


@dataclass(frozen=True)
class _Upcoming:
    """A schedule's next fire, which is None if the schedule never fires again.

    ``skipped`` describes the earlier local times that a clock change skips: the first, the last, and their number.
    """

    schedule: Schedule
    expression: str
    enabled: bool
    fire: Occurrence | None
    skipped: tuple[datetime, datetime, int] | None
    note: str


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
    declared = project.catalog.schedules
    if schedule is not None and schedule not in declared:
        raise UnknownName("schedule", schedule, declared)
    start = get_clock().now() if at is None else parse_time("--at", at)
    first_seen = read_first_seen(project, environment)
    found: list[_Upcoming] = []
    for name in [schedule] if schedule else list(declared):
        one = declared[name]
        expression = substitute(one.expression, lambda reference: environment.settings[reference.name])
        enabled = substitute(one.enabled, lambda reference: environment.settings[reference.name]) == "true"
        rate_from = first_seen.get(name)
        found += _find_upcoming(one, expression, parse(expression), enabled, start, rate_from, count)
    if as_json:
        print_json([_to_json(one) for one in found if one.fire is not None])
        return
    _print(found, env)


def _find_upcoming(
    schedule: Schedule,
    text: str,
    expression: Expression,
    enabled: bool,
    after: datetime,
    rate_from: datetime | None,
    count: int,
) -> list[_Upcoming]:
    start, note = schedule.start, ""
    if isinstance(expression, Rate) and start is None:
        start, note = (after, "counted from now") if rate_from is None else (rate_from, "")
        if note and schedule.via == "scheduler":
            note += "; the first fire is at its creation"
    found: list[_Upcoming] = []
    skipped: tuple[datetime, datetime, int] | None = None
    for one in iterate_occurrences(expression, after, ZoneInfo(schedule.timezone), start=start, end=schedule.end):
        if one.fires:
            found.append(_Upcoming(schedule, text, enabled, one, skipped, note))
            skipped = None
            if len(found) == count:
                return found
        else:
            skipped = (
                (one.local_time, one.local_time, 1) if skipped is None else (skipped[0], one.local_time, skipped[2] + 1)
            )
    found.append(_Upcoming(schedule, text, enabled, None, skipped, ""))
    return found


def _print(found: list[_Upcoming], env: str) -> None:
    """Print the fires grouped by schedule on a terminal, and one per line in a pipe."""
    console = Terminal()
    if not found:
        console.print("None declared.")
    previous = ""
    for one in found:
        schedule = one.schedule
        if console.is_terminal and schedule.name != previous:
            off = "" if one.enabled else f"  disabled in {env}"
            console.print(Text(previous and "\n").append(schedule.name, style="bold"), end="")
            console.print(Text(f"  {one.expression}  {schedule.timezone}{off}"), soft_wrap=True)
            previous = schedule.name
        for local, utc, note in _format_rows(one):
            if console.is_terminal:
                line = f"  {local:<24}  {f'{utc} UTC' if utc != '-' else '':<24}  {note}"
                console.print(Text(line.rstrip()), soft_wrap=True)
            else:
                off = "" if one.enabled else f"disabled in {env}"
                notes = "; ".join(filter(None, [note, off]))
                print_rows(console, [(schedule.name, local, schedule.timezone, utc, notes)])


def _format_rows(one: _Upcoming) -> list[tuple[str, str, str]]:
    """Return rows of local time, UTC and a note, with "-" for a missing time."""
    rows = []
    if one.skipped is not None:
        first, last, times = one.skipped
        until = "" if times == 1 else f"…{last:%H:%M}" if first.date() == last.date() else f"…{last:{_TIME_FORMAT}}"
        count = "" if times == 1 else f" ({times} times)"
        rows.append((f"{first:{_TIME_FORMAT}}{until}", "-", f"skipped: clocks go forward{count}"))
    if one.fire is None:
        return [*rows, ("-", "-", "no further fires")]
    local = one.fire.instant.astimezone(ZoneInfo(one.schedule.timezone))
    repeated = "first of two: clocks go back" if one.fire.change == "repeated" else ""
    note = "; ".join(filter(None, [repeated, one.note]))
    return [*rows, (f"{local:{_TIME_FORMAT} %Z}", f"{one.fire.instant:{_TIME_FORMAT}}", note)]


def _to_json(one: _Upcoming) -> dict[str, Any]:
    assert one.fire is not None
    skipped = None
    if one.skipped is not None:
        first, last, times = one.skipped
        skipped = {"first": first.isoformat(), "last": last.isoformat(), "times": times}
    return {
        "schedule": one.schedule.name,
        "expression": one.expression,
        "timezone": one.schedule.timezone,
        "enabled": one.enabled,
        "utc": one.fire.instant.isoformat(),
        "local": one.fire.instant.astimezone(ZoneInfo(one.schedule.timezone)).isoformat(),
        "repeated": one.fire.change == "repeated",
        "skipped": skipped,
    }
