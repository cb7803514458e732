"""``nightferry simulate``: simulate the starts and overlaps of schedules in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from nightferry.backend.interface import Backend
from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunSummary
from nightferry.catalog.declarations import Task
from nightferry.cli.inspect.simulation_report import print_simulation, print_simulation_json
from nightferry.cli.terminal.options import AsJson, Env, open_backend
from nightferry.cli.terminal.rates import read_first_seen
from nightferry.clock import get_clock
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.presentation.schedules.schedules import resolve_schedule
from nightferry.presentation.schedules.simulation import RUNS_PER_TASK, Durations, list_policies, plan_schedules
from nightferry.presentation.times import TIME_FORMATS, parse_time
from nightferry.schedules.simulation import simulate as run_simulation


def simulate(
    days: Annotated[int, typer.Option(help="Number of days to simulate.", min=1, max=3660)] = 30,
    since: Annotated[
        str | None,
        typer.Option("--from", help=f"Start of the simulation: {TIME_FORMATS}. Default: now.", metavar="TIME"),
    ] = None,
    env: Env = "local",
    percentile: Annotated[
        int, typer.Option(help="Percentile of successful runs to use as a task's duration.", min=1, max=99)
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """Simulate the schedules of an environment, and report their starts and overlaps.

    The duration of a task is estimated from its successful runs; without runs, it is the expected duration or the time
    limit. The duration of a workflow is computed from its states. Nothing is started.
    """
    project = Project.find()
    environment = project.environment(env)
    begin = get_clock().now().replace(microsecond=0) if since is None else parse_time("--from", since)
    history = _History(project, env)
    durations = Durations(project.catalog.tasks, history, percentile)
    first_seen = read_first_seen(project, environment)
    schedules = [
        resolve_schedule(one, environment, first_seen.get(name)) for name, one in project.catalog.schedules.items()
    ]
    disabled = [schedule.name for schedule in schedules if not schedule.enabled]
    planned = plan_schedules(project.catalog, schedules, durations)
    simulation = run_simulation(planned, list_policies(project.catalog), begin, begin + timedelta(days=days))
    if as_json:
        print_simulation_json(simulation, durations, disabled, history.unknown)
    else:
        print_simulation(simulation, durations, disabled, env, history.unknown)


class _History:
    """The last runs of tasks in an environment.

    If the environment does not respond, it is not queried again, and ``unknown`` is the reason.
    """

    def __init__(self, project: Project, env: str) -> None:
        self._project = project
        self._env = env
        self._backend: Backend | None = None
        self.unknown = ""

    def __call__(self, task: Task) -> Sequence[RunSummary]:
        if self.unknown:
            return []
        try:
            self._backend = self._backend or open_backend(self._project, self._env)
            return self._backend.run_summaries(RunFilter(task=task.name), limit=RUNS_PER_TASK)
        except NightferryError as error:
            self.unknown = str(error)
            return []
