"""Check that tasks, schedules, triggers and workflows have started in the environment.

The checks read what has happened. Where nothing has happened yet, the finding has the command that makes it happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from nightferry.aws.verify.deployed import is_enabled
from nightferry.aws.verify.probe import Probe, Problem
from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.interface import Backend
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.backend.verify.findings import Finding
from nightferry.catalog.declarations import ObjectTrigger, Schedule
from nightferry.catalog.references import substitute
from nightferry.clock import Clock
from nightferry.environments.aws_resources import AwsResources
from nightferry.schedules.expressions import Expression, Rate, find_next_fire, parse

_RUNS = 20  # of one task, and executions of one workflow
_READ_RUNS = "ecs:ListTasks, ecs:DescribeTasks and logs:FilterLogEvents"
_READ_EXECUTIONS = "states:ListExecutions and states:DescribeExecution"
# The beginnings of startedBy, by the service that starts a task (ECS guide; nightferry.lambdas.s3_trigger).
_BY_SCHEDULE = {"scheduler": "chronos-schedule/", "rule": "events-rule/"}
_BY_TRIGGER = "trigger/"
_RETRIES = timedelta(hours=1)  # Terraform sets this time for the retries of a schedule
_DUE = timedelta(minutes=5)  # from a fire until its run must be visible
_PERIODS = (timedelta(days=1), timedelta(days=8), timedelta(days=400))  # searched for the last fire, in order


@dataclass(frozen=True)
class _Starts:
    """The times of the starts that were found, and since when all are known; None if no older ones were left out."""

    times: list[datetime]
    since: datetime | None


class StartChecks:
    """The checks of the starts in an environment whose last deployment was at ``deployed``."""

    def __init__(
        self, resources: AwsResources, backend: Backend, probe: Probe, clock: Clock, deployed: datetime
    ) -> None:
        self._resources = resources
        self._backend = backend
        self._probe = probe
        self._now = clock.now()
        self._deployed = deployed
        self._env = resources.environment.name
        self._runs = cache(lambda task: backend.runs(RunFilter(task=task), limit=_RUNS))

    def check(self) -> Iterator[Finding]:
        """Yield the findings about the newest run, and about each enabled schedule and trigger and each workflow."""
        yield self._check_runs()
        catalog = self._resources.catalog
        for schedule in catalog.schedules.values():
            if is_enabled(self._resources, schedule):
                yield self._check_schedule(schedule)
        for trigger in catalog.object_triggers.values():
            if is_enabled(self._resources, trigger):
                yield self._check_trigger(trigger)
        for workflow in catalog.workflows:
            yield self._check_workflow(workflow)

    def _check_runs(self) -> Finding:
        def find_problem(runs: Sequence[TaskRun]) -> Problem:
            stopped = [run for run in runs if run.status == "STOPPED" and run.created_at >= self._deployed]
            if succeeded := next((run for run in stopped if run.succeeded), None):
                return "ok", f"{succeeded.task} ended with exit code 0 (run {succeeded.id})"
            if not stopped:
                return "not checked", (
                    f"No run has ended since the deployment. Run a task: nightferry run TASK --env {self._env}, or "
                    "repeat this command with --run TASK."
                )
            run = stopped[0]
            if run.started_at is None:
                return "wrong", f"{run.task} did not start: {run.reason} (run {run.id})"
            return "warning", (
                f"No run has succeeded since the deployment. The newest, of {run.task}, ended with exit code "
                f"{run.exit_code}: nightferry logs {run.id} --env {self._env}"
            )

        return self._probe.check(
            "runs", "a successful run", _READ_RUNS, lambda: self._backend.runs(limit=_RUNS), find_problem=find_problem
        )

    def _check_schedule(self, schedule: Schedule) -> Finding:
        action = _READ_RUNS if schedule.kind == "task" else _READ_EXECUTIONS

        def find_problem(starts: _Starts) -> Problem:
            due = self._find_due_period(schedule)
            if due is not None and not any(due[0] <= start <= due[1] for start in starts.times):
                if starts.since is not None and starts.since > due[0]:
                    return "not checked", (
                        f"It was due at {_format(due[0])}. {schedule.target} has started more than {_RUNS} times since "
                        f"then, so that start was not read. See: nightferry status {schedule.target} --env {self._env}"
                    )
                return "wrong", (
                    f"It was due at {_format(due[0])}, but {schedule.target} did not start. See the errors: "
                    f"nightferry redrive schedules --env {self._env} --dry-run"
                )
            if starts.times:
                return "ok", f"{schedule.target} started at {_format(max(starts.times))}"
            following = find_next_fire(self._parse(schedule), self._now, ZoneInfo(schedule.timezone))
            when = f"It is due next at {_format(following)}." if following else "It is never due again."
            return "not checked", f"Not due since the deployment. {when}"

        name = f"start by schedule {schedule.name}"
        return self._probe.check("starts", name, action, lambda: self._list_starts(schedule), find_problem=find_problem)

    def _list_starts(self, starter: Schedule | ObjectTrigger) -> _Starts:
        """Return the starts of a target by a schedule or trigger; of a workflow, all starts."""
        if starter.kind == "workflow":
            times = [
                one.started_at
                for one in self._backend.executions(ExecutionFilter(workflow=starter.target), limit=_RUNS)
            ]
            return _Starts(times, min(times) if len(times) == _RUNS else None)
        begins = _BY_SCHEDULE[starter.via] if isinstance(starter, Schedule) else _BY_TRIGGER
        runs = self._runs(starter.target)
        since = min(run.created_at for run in runs) if len(runs) == _RUNS else None
        return _Starts([run.created_at for run in runs if run.started_by.startswith(begins)], since)

    def _find_due_period(self, schedule: Schedule) -> tuple[datetime, datetime] | None:
        """Return the last period since the deployment in which the schedule must have started its target, if any."""
        expression = self._parse(schedule)
        if isinstance(expression, Rate):  # counts from the creation of the schedule, which may be before the deployment
            begin = self._now - expression.interval - _RETRIES
            return (begin, self._now) if begin >= self._deployed else None
        zone = ZoneInfo(schedule.timezone)
        for period in _PERIODS:
            last, after = None, max(self._deployed, self._now - period)
            while (fire := find_next_fire(expression, after, zone, schedule.start, schedule.end)) is not None:
                if fire > self._now - _DUE:
                    break
                last = after = fire
            if last is not None:
                return last, last + _RETRIES
        return None

    def _parse(self, schedule: Schedule) -> Expression:
        settings = self._resources.environment.settings
        return parse(substitute(schedule.expression, lambda reference: settings[reference.name]))

    def _check_trigger(self, trigger: ObjectTrigger) -> Finding:
        action = _READ_RUNS if trigger.kind == "task" else _READ_EXECUTIONS
        bucket = self._resources.bucket(trigger.bucket).name

        def find_problem(starts: _Starts) -> Problem:
            if starts.times:
                return "ok", f"{trigger.target} started at {_format(max(starts.times))}"
            if starts.since is not None:
                return "not checked", f"None of the newest {_RUNS} starts of {trigger.target} was by this trigger."
            return "not checked", (
                f"No object has started {trigger.target} yet. Put one: "
                f"aws s3 cp FILE s3://{bucket}/{trigger.prefix}NAME{trigger.suffix}"
            )

        name = f"start by trigger {trigger.name}"
        return self._probe.check("starts", name, action, lambda: self._list_starts(trigger), find_problem=find_problem)

    def _check_workflow(self, workflow: str) -> Finding:
        def find_problem(executions: Sequence[WorkflowExecution]) -> Problem:
            if not executions:
                return "not checked", f"It has not run yet. Start it: nightferry start {workflow} --env {self._env}"
            execution = executions[0]
            text = f"Execution {execution.id} is {execution.status}"
            if execution.status in ("SUCCEEDED", "RUNNING"):
                return "ok", text
            return "warning", f"{text}. See its cause: nightferry status {execution.id} --env {self._env}"

        return self._probe.check(
            "starts",
            f"execution of workflow {workflow}",
            _READ_EXECUTIONS,
            lambda: self._backend.executions(ExecutionFilter(workflow=workflow), limit=1),
            find_problem=find_problem,
        )


def _format(time: datetime) -> str:
    return f"{time.astimezone(ZoneInfo('UTC')):%Y-%m-%d %H:%M} UTC"
