"""``nightferry backfill``: start a schedule's target for each of its times in a range."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from nightferry.backend.request_checks import get_schedule
from nightferry.catalog.declarations import Schedule
from nightferry.cli.run.backfill_loop import TerminalBackfill
from nightferry.cli.terminal.actions import Confirm, Reason, confirm_by_hand, make_recorder
from nightferry.cli.terminal.completion import complete_schedule
from nightferry.cli.terminal.options import AsJson, Env, open_backend, print_json, print_status
from nightferry.cli.terminal.output import confirm
from nightferry.cli.terminal.rates import read_first_seen
from nightferry.cli.terminal.streams import echo
from nightferry.contract import ExitCode, format_scheduled_time
from nightferry.environments.project import Project
from nightferry.presentation.schedules.backfill import BackfillTime
from nightferry.presentation.schedules.backfill_times import CONFIRMED_TIMES, Bound, InvalidRange, find_times
from nightferry.presentation.times import TIME_FORMATS

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


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
    reason: Reason = "",
    confirm: Confirm = "",
    as_json: AsJson = False,
) -> None:
    """Start a schedule's target for each of its past times in a range, and follow the runs.

    Each run or execution receives its own SCHEDULED_AT. A time for which the schedule or an earlier backfill has
    started its target is left out, so that a repeated command continues an interrupted one. The exit code is 0 if all
    times of the range have succeeded, and 1 if a run failed. Ctrl-C starts nothing more and waits for the running ones.
    """
    project = Project.find()
    environment = project.environment(env)
    one = get_schedule(project.catalog, schedule)
    times = find_times(
        one,
        environment,
        Bound("--from", begin),
        Bound("--to", end),
        lambda: read_first_seen(project, environment).get(one.name),
    )
    backend = open_backend(project, env)
    found = backend.find_scheduled(one, times)
    entries = [BackfillTime(fire, found.get(fire), was_started=fire in found) for fire in times]
    report = TerminalBackfill(backend, one, entries, concurrency, env)
    if dry_run:
        report.describe_known()
        if as_json:
            print_json(report.to_json())
        else:
            for entry in entries:
                echo(f"{format_scheduled_time(entry.time)}: {entry.describe() if entry.id else 'would start'}")
        return
    _confirm(sum(entry.id is None for entry in entries), one, yes)
    confirm_by_hand([project.catalog.tasks[one.target]] if one.kind == "task" else [], env, confirm)
    again = _format_command(schedule, begin, end, env, concurrency, confirm)
    with make_recorder(project, backend, backend.author()).record("backfill", schedule, reason) as outcome:
        report.run(f"Continue with: {again}", print_status if as_json else echo)
        outcome.text, outcome.ids = report.summary, report.started
    if as_json:
        print_json(report.to_json())
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    raise typer.Exit(ExitCode.SUCCESS if report.succeeded else ExitCode.FAILURE)


def _confirm(number: int, schedule: Schedule, yes: bool) -> None:
    if yes or number <= CONFIRMED_TIMES:
        return
    if not sys.stdin.isatty():
        raise InvalidRange(
            f"{number:,} starts of {schedule.target} need a confirmation. Add --yes, or use a shorter range."
        )
    confirm(f"Start {schedule.target} {number:,} times?")


def _format_command(schedule: str, begin: str, end: str, env: str, concurrency: int, confirm: str) -> str:
    words = ["nightferry", "backfill", schedule, "--from", begin, "--to", end]
    words += ["--concurrency", str(concurrency)] * (concurrency != 1) + ["--env", env] * (env != "local")
    words += ["--confirm", confirm] * bool(confirm)
    return shlex.join(words)
