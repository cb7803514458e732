"""``nightferry simulate``: what the schedules will start when, and what would overlap, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from nightferry.backend.interface import Backend, TaskRun
from nightferry.catalog.declarations import Task
from nightferry.catalog.references import Reference, substitute
from nightferry.cli.inspect.rates import counted_from
from nightferry.cli.inspect.simulation_report import Durations, draw, for_machines
from nightferry.cli.terminal.options import AsJson, Env, backend
from nightferry.cli.terminal.times import FORMS, moment
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.schedules.durations import Length, Span, measure_workflow
from nightferry.schedules.expressions import Rate, parse
from nightferry.schedules.simulation import Planned
from nightferry.schedules.simulation import simulate as virtually

RUNS = 100  # of each task, that its duration is taken from


def simulate(
    days: Annotated[int, typer.Option(help="How many days.", min=1, max=3660)] = 30,
    since: Annotated[
        str | None, typer.Option("--from", help=f"From this time on: {FORMS}; now when left out.", metavar="TIME")
    ] = None,
    env: Env = "local",
    percentile: Annotated[
        int, typer.Option(help="How long a task takes: this percentile of its successful runs.", min=1, max=99)
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what the schedules of an environment will start, when, and what would overlap.

    A task takes as long as its successful runs did; one that never ran, its expected time, else its time limit. A
    workflow takes as long as its states. Nothing is started.
    """
    project = Project.find()
    environment = project.environment(env)
    begin = datetime.now(UTC).replace(microsecond=0) if since is None else moment("--from", since)
    history = _History(project, env)
    durations = Durations(project.catalog.tasks, history, percentile)
    planned, off = _planned(project, environment, durations)
    rules = {task.name: task.overlap for task in project.catalog.tasks.values()}
    simulation = virtually(planned, rules, begin, begin + timedelta(days=days))
    if as_json:
        for_machines(simulation, durations, off, history.unknown)
    else:
        draw(simulation, durations, off, env, history.unknown)


class _History:
    """The last runs of a task in an environment. One that cannot be asked is not asked again: ``unknown`` says why."""

    def __init__(self, project: Project, env: str) -> None:
        self._project = project
        self._env = env
        self._place: Backend | None = None
        self.unknown = ""

    def __call__(self, task: Task) -> list[TaskRun]:
        if self.unknown:
            return []
        try:
            self._place = self._place or backend(self._project, self._env)
            return self._place.runs(task=task.name, limit=RUNS)
        except NightferryError as error:
            self.unknown = str(error)
            return []


def _planned(
    project: Project, environment: Environment, durations: Callable[[str], timedelta]
) -> tuple[list[Planned], list[str]]:
    """The schedules that are switched on, and the names of the others."""

    def setting(reference: Reference) -> str:
        return environment.settings[reference.name]

    catalog, first_seen = project.catalog, counted_from(project, environment)
    planned, off = [], []
    for schedule in catalog.schedules.values():
        if substitute(schedule.enabled, setting) != "true":
            off.append(schedule.name)
            continue
        if schedule.kind == "workflow":
            overlap = catalog.workflows[schedule.target].overlap
            length = measure_workflow(catalog.workflows[schedule.target].definition, durations)
        else:
            overlap = catalog.tasks[schedule.target].overlap
            total = durations(schedule.target)
            length = Length(total, (Span(schedule.target, timedelta(), total),))
        expression = parse(substitute(schedule.expression, setting))
        start = schedule.start
        if isinstance(expression, Rate) and start is None:
            start = first_seen.get(schedule.name)
        zone = ZoneInfo(schedule.timezone)
        planned.append(Planned(schedule.name, schedule.target, expression, zone, overlap, length, start, schedule.end))
    return planned, off
