"""``nightferry costs``: estimate what a month of an environment costs on AWS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry.backend.errors import Refused, Unreachable
from nightferry.cli.terminal.completion import complete_environment
from nightferry.cli.terminal.options import AsJson, Env, open_backend, print_json
from nightferry.cli.terminal.output import Terminal
from nightferry.cli.terminal.rates import read_first_seen
from nightferry.clock import get_clock
from nightferry.costs.estimate import NOT_INCLUDED, Estimate, estimate_month
from nightferry.costs.fires import Month
from nightferry.costs.observations import Observations, observe
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.presentation.costs import (
    describe_basis,
    describe_total,
    format_count,
    format_dollars,
    format_each,
    format_starts,
    list_costly,
    list_executed,
    render_json,
)


def costs(
    env: Env = "local",
    month: Annotated[
        str | None, typer.Option(help="Month in UTC, as in 2026-11. Default: this month.", metavar="MONTH")
    ] = None,
    days: Annotated[int, typer.Option(help="Days of past runs to estimate from.", min=1, max=400)] = 30,
    runs_of: Annotated[
        str | None,
        typer.Option(
            help="Estimate from the runs of this environment, such as local. Default: ENV.",
            metavar="ENV",
            autocompletion=complete_environment,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate what a month of an environment costs on AWS, with x86 and Arm.

    The durations are those of past runs, the starts are the schedules' fires in the month and the other starts of the
    past days. All amounts are approximate; unknown parts are listed. [costs] of the environment replaces prices.
    """
    project = Project.find()
    environment = project.environment(env)
    now = get_clock().now()
    wanted = Month.of(now) if month is None else Month.parse(month)
    observed = _observe(project, project.environment(runs_of or env), now - timedelta(days=days), now)
    first_seen = read_first_seen(project, environment)
    estimate = estimate_month(project.catalog, environment, wanted, observed, first_seen)
    if as_json:
        print_json(render_json(estimate))
    else:
        _print(Terminal(highlight=False), estimate)


def _observe(project: Project, environment: Environment, since: datetime, until: datetime) -> Observations:
    backend = open_backend(project, environment.name)
    deployed = environment.backend == "aws"
    try:
        return observe(backend, project.catalog, environment.name, deployed, since, until)
    except (Unreachable, Refused) as error:
        raise Refused(
            f"{error}\nTo estimate from the runs of this machine instead, add --runs-of local to the command."
        ) from None


def _print(console: Console, estimate: Estimate) -> None:
    console.print(Text(describe_total(estimate), style="bold"), soft_wrap=True)
    console.print(Text(describe_basis(estimate)), soft_wrap=True)
    if tasks := list_costly(estimate):
        table = _make_table("Fargate", "Runs", "Each", "x86", "Arm")
        for cost in tasks:
            x86, arm = (format_dollars(cost.prices["x86"]), format_dollars(cost.prices["arm"]))
            size = f"{cost.size.cpu / 1024:g} vCPU, {cost.size.memory / 1024:g} GB"
            table.add_row(cost.task, format_count(cost.runs), format_each(cost), x86, arm, f"{size}; {cost.basis}")
        console.print(table)
    if workflows := list_executed(estimate):
        table = _make_table("Step Functions", "Executions", "Transitions", "Price")
        for one in workflows:
            price = format_dollars(one.price)
            table.add_row(one.workflow, format_count(one.executions), format_count(one.transitions), price, one.basis)
        console.print(table)
    _print_log(console, estimate)
    _print_list(console, "Starts", [f"{c.task}: {format_starts(c.starts)}" for c in list_costly(estimate)])
    _print_list(console, "Unknown, and in no amount", estimate.unknown)
    _print_list(console, "Not included", NOT_INCLUDED)


def _print_log(console: Console, estimate: Estimate) -> None:
    log = estimate.log
    if log.gb is None or log.stored_gb is None:
        return
    console.print(
        Text(
            f"\nCloudWatch Logs: {log.gb:.3f} GB of lines {format_dollars(log.ingestion)}, "
            f"storage {format_dollars(log.storage)} once the log is full"
        ),
        soft_wrap=True,
    )


def _print_list(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(Text(f"\n{title}", style="bold"))
    for line in lines:
        console.print(Text(f"  {line}"), soft_wrap=True)


def _make_table(name: str, *numbers: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(f"\n{name}", overflow="fold")
    for number in numbers:
        table.add_column(f"\n{number}", justify="right", no_wrap=True)
    table.add_column("\nFrom")
    return table
