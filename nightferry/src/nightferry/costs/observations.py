"""What the runs and executions of an environment used in the last days, from a bounded number of queries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean, median

from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.interface import Backend
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.usage import RunUsage
from nightferry.catalog.catalog import Catalog
from nightferry.costs.fargate import bill_seconds
from nightferry.costs.transitions import ExecutionUsage, count_transitions

MAX_RUNS = 5000
"""The runs from which an estimate is made, the newest first."""

MAX_HISTORIES = 3
"""The executions of each workflow whose histories are read."""

_TASK_RUNS = 100  # of a task that has none among the newest runs of all
_MAX_EXECUTIONS = 1000
_EXECUTION_RUNS = 1000
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class ObservedTask:
    """The runs of a task that ended: their number, and the means of what a run used.

    ``direct`` counts those that no workflow started, per day. ``log_bytes`` is None if no run has its size.
    """

    runs: int
    billed_seconds: float
    median_seconds: float
    direct_per_day: float
    log_bytes: float | None


@dataclass(frozen=True)
class ObservedWorkflow:
    """The executions of a workflow per day, and the usage of one, which is the mean of ``examined`` histories."""

    per_day: float
    examined: int = 0
    usage: ExecutionUsage | None = None


@dataclass(frozen=True)
class Observations:
    """What was observed in an environment from ``since`` to ``until``. ``deployed`` is True for one on AWS.

    ``log_bytes`` are those of all logs; None if they are not known, or only for each task.
    """

    environment: str
    deployed: bool
    since: datetime
    until: datetime
    tasks: Mapping[str, ObservedTask] = field(default_factory=dict)
    workflows: Mapping[str, ObservedWorkflow] = field(default_factory=dict)
    log_bytes: int | None = None

    @property
    def days(self) -> float:
        """The length of the period."""
        return max((self.until - self.since) / _DAY, 1e-6)


def observe(
    backend: Backend, catalog: Catalog, environment: str, deployed: bool, since: datetime, until: datetime
) -> Observations:
    """Return what the runs and executions used. Raises the errors of the backend.

    The queries are one for the newest runs, one for each task without a run among them, and for each workflow one for
    its executions and two for each of :data:`MAX_HISTORIES` executions, and one for the size of the log.
    """
    newest = backend.usage(since, limit=MAX_RUNS)
    covered = newest[-1].created_at if len(newest) == MAX_RUNS else since  # a busy environment has more runs
    by_task: dict[str, list[RunUsage]] = defaultdict(list)
    for one in newest:
        by_task[one.task].append(one)
    tasks = {}
    for name in catalog.tasks:
        runs, from_ = by_task.get(name), covered
        if not runs and covered > since:
            runs, from_ = backend.usage(since, task=name, limit=_TASK_RUNS), since
        if runs and (found := summarize(runs, (until - from_) / _DAY)) is not None:
            tasks[name] = found
    workflows = {name: _observe_workflow(backend, name, since, until) for name in catalog.workflows}
    return Observations(environment, deployed, since, until, tasks, workflows, backend.log_volume(since))


def summarize(runs: Sequence[RunUsage], days: float) -> ObservedTask | None:
    """Return the means of a task's runs in a period; None if none of them started."""
    seconds = [run.seconds for run in runs if run.seconds is not None]
    if not seconds:
        return None
    sizes = [run.log_bytes for run in runs if run.log_bytes is not None]
    direct = sum(run.execution is None for run in runs)
    return ObservedTask(
        runs=len(seconds),
        billed_seconds=fmean(map(bill_seconds, seconds)),
        median_seconds=median(seconds),
        direct_per_day=direct / max(days, 1e-6),
        log_bytes=fmean(sizes) if sizes else None,
    )


def _observe_workflow(backend: Backend, name: str, since: datetime, until: datetime) -> ObservedWorkflow:
    page = backend.executions(ExecutionFilter(workflow=name, since=since), limit=_MAX_EXECUTIONS)
    begin = page[-1].started_at if page.next is not None else since
    ended = [one for one in page if one.stopped_at is not None]
    # Successful executions have all states; without one, the others are the best that is known.
    examined = ([one for one in ended if one.status == "SUCCEEDED"] or ended)[:MAX_HISTORIES]
    per_day = len(page) / max((until - begin) / _DAY, 1e-6)
    if not examined:
        return ObservedWorkflow(per_day)
    usages = [_measure_execution(backend, one) for one in examined]
    return ObservedWorkflow(per_day, len(usages), _average(usages))


def _measure_execution(backend: Backend, execution: ExecutionSummary) -> ExecutionUsage:
    transitions = count_transitions(backend.state_history(execution.id))
    runs = Counter(run.task for run in backend.runs(RunFilter(execution=execution.id), limit=_EXECUTION_RUNS))
    return ExecutionUsage(transitions, dict(runs))


def _average(usages: Iterable[ExecutionUsage]) -> ExecutionUsage:
    listed = list(usages)
    return sum(listed, ExecutionUsage(0)).repeat(1 / len(listed))
