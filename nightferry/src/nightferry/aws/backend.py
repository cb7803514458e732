"""The backend interface on AWS: tasks on ECS, workflows on Step Functions, lines in CloudWatch Logs.

Nothing here needs Terraform or its state. Names follow from the rules that synthesis keeps
(:mod:`nightferry.contract`); where tasks run stands in the parameter that the deployment publishes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from nightferry.aws.executions import history
from nightferry.aws.executions.executions import Executions
from nightferry.aws.executions.redrive import redrive
from nightferry.aws.logs import CloudWatchReader
from nightferry.aws.runs import reasons, request
from nightferry.aws.runs.journal import Journal
from nightferry.aws.runs.outcomes import Outcomes
from nightferry.aws.runs.placement import Placement, published
from nightferry.aws.runs.runs import run_of
from nightferry.aws.runs.tasks import Tasks
from nightferry.aws.session import Aws
from nightferry.backend.interface import LogLine, RunRequest, StateExecution, TaskRun, WorkflowExecution
from nightferry.backend.request_checks import declared_workflow
from nightferry.backend.state_history import state_history
from nightferry.clock import Clock, SystemClock
from nightferry.contract import Naming, parse_arn_id
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import EnvironmentFileError, NightferryError, UnknownName

_STEP = 0.15  # seconds between two steps of whoever watches
_NEAR = 5  # ids that a message about an unknown one offers
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BEGINNING = re.compile(r"[0-9a-f-]{4,36}")


class AwsBackend:
    """Runs and executions of a project in an environment on AWS. ``tell`` gets a sentence when something takes long.

    ``aws`` is the session to use; without it, the backend makes one of its own.
    """

    def __init__(
        self,
        project: Project,
        environment: Environment,
        *,
        clock: Clock | None = None,
        aws: Aws | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        if environment.aws is None:
            raise EnvironmentFileError(f"{environment.file}: it has no table [aws], so nothing of it is on AWS.")
        self._catalog = project.catalog
        self._resources = AwsResources(project.catalog, environment)
        self._clock = clock or SystemClock()
        self.naming = Naming(project.catalog.name, environment.name)
        self._log_quiet = timedelta(seconds=environment.aws.log_quiet_seconds)
        self.aws = aws or Aws(environment.aws.region, environment.aws.account)
        self.journal_folder = project.state / "aws" / environment.name
        journal = Journal(self.journal_folder, self._clock)
        self._tasks = Tasks(self.aws, journal, self._clock, tell)
        self._executions = Executions(self.aws, project.catalog, self.naming, environment.aws.partition, journal)
        self._outcomes = Outcomes(self.aws, self.naming, self._clock)
        self._known: dict[str, TaskRun] = {}

    @property
    def outlives_client(self) -> bool:
        """See :class:`nightferry.backend.interface.Backend`."""
        return True

    @property
    def interval(self) -> tuple[float, float]:
        """See :class:`~nightferry.backend.interface.Backend`.

        Within the rates of FilterLogEvents and DescribeTasks for several.
        """
        return 1, 10

    @cached_property
    def place(self) -> Placement:
        """Where tasks run; asked once. Raises NotDeployed."""
        return published(self.aws, self.naming)

    # ── asking for work ───────────────────────────────────────────────────────────────────────────────────────

    def run_task(self, request_: RunRequest) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        run = self._run_of(self._tasks.start(self.request(request_)))
        assert run is not None
        return run.id

    def request(self, request_: RunRequest) -> dict[str, Any]:
        """The parameters of RunTask, apart from the client token."""
        task = request.check(self._catalog, request_)
        return request.run_task(self.naming, task, request_, self.place)

    def start_workflow(self, workflow: str, input: Any) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        overlap = declared_workflow(self._catalog, workflow).overlap
        open_ones = self._executions.open(workflow) if overlap in ("skip", "replace") else []
        if open_ones and overlap == "skip":
            return open_ones[0]
        id = self._executions.start(workflow, input)
        for open_one in open_ones:
            if open_one != id:
                self.stop(open_one, f"Execution {id} takes its place.")
        return id

    def redrive(self, id: str, *, dry_run: bool = False) -> str:
        """See :class:`nightferry.backend.interface.Backend`."""
        execution = self.execution(id)
        redrive(self._resources, self.aws, self._executions.arn(execution.workflow, execution.id), dry_run=dry_run)
        return execution.id

    def stop(self, id: str, reason: str) -> None:
        """See :class:`nightferry.backend.interface.Backend`."""
        try:
            run = self.run(id)
        except UnknownName:
            self._executions.stop(self.execution(id), reason)
        else:
            self._tasks.stop(self.place.cluster, run.id, reason)

    def drive(self, poll: Callable[[], bool], report: Callable[[str], None]) -> None:  # noqa: ARG002
        """See :class:`nightferry.backend.interface.Backend`. AWS needs nobody's help."""
        while poll():
            self._clock.sleep(_STEP)

    def detach(self) -> None:
        """See :class:`nightferry.backend.interface.Backend`. AWS needs nobody's help."""

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, id: str) -> TaskRun:
        """See :class:`nightferry.backend.interface.Backend`; ``id`` may be a task's ARN."""
        name = parse_arn_id(id)
        if _ID.fullmatch(name):
            found = self._described([name])
            if name in found:
                return found[name]
            known = self._known.get(name)
            if known is not None and known.status != "STOPPED":
                return known  # just started: DescribeTasks may not know it for a moment (ECS API)
        matching = self._beginning_with(name)
        if len(matching) > 1:
            raise NightferryError(
                f"'{id}' is the beginning of several runs: {', '.join(sorted(matching)[:10])}. Give more of it."
            )
        if not matching:
            raise UnknownName("run", id, [run.id for run in self.runs(limit=_NEAR)])
        return next(iter(matching.values()))

    def _beginning_with(self, name: str) -> dict[str, TaskRun]:
        if not _BEGINNING.fullmatch(name):
            return {}
        ids = [id for id in self._tasks.ids(self.place.cluster) if id.startswith(name)]
        found = self._described(ids)
        told = self._runs_of(self._outcomes.of_id(name)) if not found else []
        return found or {run.id: run for run in told}

    def execution(self, id: str) -> WorkflowExecution:
        """See :class:`nightferry.backend.interface.Backend`; ``id`` may be an execution's ARN."""
        found = self._executions.find(id) if id else []
        if len(found) > 1:
            raise NightferryError(
                f"'{id}' is the beginning of several executions: {', '.join(e.id for e in found[:10])}. Give more."
            )
        if not found:
            raise UnknownName("execution", id, [execution.id for execution in self.executions(limit=_NEAR)])
        return found[0]

    def runs(self, *, task: str | None = None, execution: str | None = None, limit: int = 20) -> list[TaskRun]:
        """See :class:`nightferry.backend.interface.Backend`. Stopped ones come from the group of state changes too."""
        if execution is not None:
            found = self._runs_of_execution(self.execution(execution), task)
        else:
            family = None if task is None else self.naming.family(task)
            found = self._described(self._tasks.ids(self.place.cluster, family))
            if len(found) < limit:
                told = {run.id: run for run in self._runs_of(self._outcomes.of_task(task, limit))}
                found = {**told, **found}
        newest = sorted(found.values(), key=lambda run: run.created_at, reverse=True)
        return newest[:limit]

    def _runs_of_execution(self, execution: WorkflowExecution, task: str | None) -> dict[str, TaskRun]:
        told = self._runs_of(list(history.tasks(self._executions.history(execution))))
        found = {run.id: run for run in told if task in (None, run.task)}
        still_open = [id for id, run in found.items() if run.status != "STOPPED"]
        return {**found, **(self._described(still_open) if still_open else {})}

    def executions(self, *, workflow: str | None = None, limit: int = 20) -> list[WorkflowExecution]:
        """See :class:`nightferry.backend.interface.Backend`."""
        workflows = self._catalog.workflows if workflow is None else [workflow]
        found = [execution for name in workflows for execution in self._executions.newest(name, limit)]
        return sorted(found, key=lambda execution: execution.started_at, reverse=True)[:limit]

    def state_history(self, execution: str) -> list[StateExecution]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return state_history(self._executions.history(self.execution(execution)))

    def log(self, runs: Sequence[str]) -> Iterator[LogLine]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return self.log_reader().new(runs)

    def log_reader(self, since: datetime | None = None) -> CloudWatchReader:
        """See :class:`nightferry.backend.interface.Backend`."""
        return CloudWatchReader(
            self.aws,
            self.naming.log_group,
            lambda run: self.naming.stream(run.task, run.id),
            lambda id: self._known[id] if id in self._known else self.run(id),
            since,
            self._clock,
            self._log_quiet,
        )

    def troubleshooting(self, run: TaskRun) -> list[str]:
        """See :class:`nightferry.backend.interface.Backend`."""
        return reasons.troubleshooting(run)

    def _described(self, ids: Sequence[str]) -> dict[str, TaskRun]:
        tasks = self._tasks.describe(self.place.cluster, ids)
        return {run.id: run for run in self._runs_of(list(tasks.values()))}

    def _runs_of(self, tasks: Sequence[Mapping[str, Any]]) -> list[TaskRun]:
        return [run for run in map(self._run_of, tasks) if run is not None]

    def _run_of(self, task: Mapping[str, Any]) -> TaskRun | None:
        run = run_of(task, self.naming, self.naming.log_group)
        if run is not None:
            self._known[run.id] = run
        return run
