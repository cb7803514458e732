"""``nightferry backfill``: start a schedule's target for each of its times in a range."""

from __future__ import annotations

import re
import shlex
import sys
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from nightferry.catalog.declarations import Schedule
from nightferry.catalog.references import substitute
from nightferry.cli.run.backfill_loop import Backfill, BackfillTime
from nightferry.cli.terminal.completion import complete_schedule
from nightferry.cli.terminal.options import AsJson, Env, open_backend, print_json, print_status
from nightferry.cli.terminal.output import confirm, echo
from nightferry.cli.terminal.rates import read_first_seen
from nightferry.clock import get_clock
from nightferry.contract import ExitCode, format_scheduled_time
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import NightferryError, UnknownName
from nightferry.presentation.times import TIME_FORMATS, parse_time
from nightferry.schedules.expressions import At, Rate, parse
from nightferry.schedules.fire_times import list_fires

CONFIRMED_TIMES = 100  # more need a confirmation
MOST_TIMES = 10_000
_RECENT = timedelta(minutes=2)  # in which the schedule itself may be starting its target

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class InvalidRange(NightferryError):
    """The range of a backfill has no times, too many, or is not in the past. The message has the reason."""


@app.command("backfill")
def backfill(
    schedule: Annotated[
        str,
        typer.Argument(
            help="A declared schedule; see nightferry schedules.", metavar="SCHEDULE", autocompletion=complete_schedule
        ),
    ],
    begin: Annotated[
        str,
        typer.Option(
            "--from", help=f"First time: a date in the schedule's time zone, or {TIME_FORMATS}.", metavar="TIME"
        ),
    ],
    end: Annotated[
        str,
        typer.Option("--to", help="Last time, included, in the same forms. A date is the whole day.", metavar="TIME"),
    ],
    env: Env = "local",
    concurrency: Annotated[int, typer.Option(help="Number of runs or executions at once.", min=1, max=100)] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the times, and start nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help=f"Do not prompt for more than {CONFIRMED_TIMES} starts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a schedule's target for each of its past times in a range, and follow the runs.

    Each run or execution receives its own SCHEDULED_AT. A time for which the schedule or an earlier backfill has
    started its target is left out, so that a repeated command continues an interrupted one. The exit code is 0 if all
    times of the range have succeeded, and 1 if a run failed. Ctrl-C starts nothing more and waits for the running ones.
    """
    project = Project.find()
    environment = project.environment(env)
    declared = project.catalog.schedules
    if schedule not in declared:
        raise UnknownName("schedule", schedule, declared)
    one = declared[schedule]
    times = _find_times(project, environment, one, begin, end)
    backend = open_backend(project, env)
    found = backend.find_scheduled(one, times)
    entries = [BackfillTime(fire, found.get(fire), was_started=fire in found) for fire in times]
    report = Backfill(backend, one, entries, concurrency, env)
    if dry_run:
        report.describe_known()
        if as_json:
            print_json(report.to_json())
        else:
            for entry in entries:
                echo(f"{format_scheduled_time(entry.time)}: {entry.describe() if entry.id else 'would start'}")
        return
    _confirm(sum(entry.id is None for entry in entries), one, yes)
    again = _format_command(schedule, begin, end, env, concurrency)
    report.run(f"Continue with: {again}", print_status if as_json else echo)
    if as_json:
        print_json(report.to_json())
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    raise typer.Exit(ExitCode.SUCCESS if report.succeeded else ExitCode.FAILURE)


def _find_times(project: Project, environment: Environment, schedule: Schedule, begin: str, end: str) -> list[datetime]:
    """Return the times of a schedule in the range. Raises InvalidRange."""
    zone = ZoneInfo(schedule.timezone)
    now = get_clock().now()
    first, last = _parse("--from", begin, zone, now), _parse("--to", end, zone, now, whole_day=True)
    if last < first:
        raise InvalidRange(f"--to {end} is before --from {begin}. Swap them.")
    if last > now:
        raise InvalidRange(f"--to {end} is in the future. A backfill starts only times that have passed.")
    text = substitute(schedule.expression, lambda reference: environment.settings[reference.name])
    expression = parse(text)
    start = schedule.start
    if start is None and not isinstance(expression, At):
        seen = read_first_seen(project, environment).get(schedule.name)
        if isinstance(expression, Rate):
            start = seen
            if seen is None:
                raise InvalidRange(
                    f"Schedule '{schedule.name}' ({schedule.declared_in}) is {text} without a start, so the times "
                    "before its deployment are not known. Add start=… to its declaration, or use cron(…)."
                )
    last = min(last, now - _RECENT)
    found = list(islice(list_fires(expression, zone, first, last, start=start, end=schedule.end), MOST_TIMES + 1))
    if not found:
        raise InvalidRange(
            f"Schedule '{schedule.name}' ({text}, {schedule.timezone}) has no time from {begin} to {end}. "
            f"See: nightferry next {schedule.name} --at {format_scheduled_time(first)}"
        )
    if len(found) > MOST_TIMES:
        raise InvalidRange(f"The range has more than {MOST_TIMES:,} times. Use a shorter one.")
    return found


def _parse(option: str, text: str, zone: ZoneInfo, now: datetime, *, whole_day: bool = False) -> datetime:
    """Return the time of an option. A date is a day in the schedule's zone; today ends now."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text.strip()):
        return parse_time(option, text, also="a date such as 2026-11-24")
    try:
        day = date.fromisoformat(text.strip())
        begin = datetime.combine(day, time(), zone).astimezone(UTC)
        if not whole_day:
            return begin
        end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC) - timedelta.resolution
    except (ValueError, OverflowError):
        raise InvalidRange(f"{option} {text} is not a date.") from None
    return min(end, now) if begin <= now else end


def _confirm(number: int, schedule: Schedule, yes: bool) -> None:
    if yes or number <= CONFIRMED_TIMES:
        return
    if not sys.stdin.isatty():
        raise InvalidRange(
            f"{number:,} starts of {schedule.target} need a confirmation. Add --yes, or use a shorter range."
        )
    confirm(f"Start {schedule.target} {number:,} times?")


def _format_command(schedule: str, begin: str, end: str, env: str, concurrency: int) -> str:
    words = ["nightferry", "backfill", schedule, "--from", begin, "--to", end]
    words += ["--concurrency", str(concurrency)] * (concurrency != 1) + ["--env", env] * (env != "local")
    return shlex.join(words)
