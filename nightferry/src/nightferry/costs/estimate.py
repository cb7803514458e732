"""The estimate of what a month of an environment costs.

::

    the schedules' fires in the month, other starts ─► starts of each target ─► runs of each task ─► Fargate, log
                                                                 └─► executions of each workflow ─► Step Functions

The amounts of each part are known or they are listed as unknown; an unknown part is never zero. Every amount is
approximate: the future runs are taken to be like the observed ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task, Workflow
from nightferry.catalog.fargate import Size
from nightferry.costs.fargate import bill_seconds, list_price_keys, price_seconds
from nightferry.costs.fires import Month, count_starts
from nightferry.costs.observations import Observations
from nightferry.costs.prices import ARCHITECTURE_NAMES, ARCHITECTURES, Architecture, Prices, find_prices
from nightferry.costs.transitions import (
    ExecutionUsage,
    count_overlap_transitions,
    list_distributed_maps,
    measure_definition,
)
from nightferry.environments.environment import Environment

COMPRESSION = 0.15
"""The part of its size that a line needs in storage; the assumption of AWS's pricing calculator."""

NOT_INCLUDED = (
    "the download of the image before each start, which Fargate bills too",
    "the database, buckets, network (NAT, endpoints, data transfer), alarms, secrets and container images",
    "functions, schedules, queues and notices, which cost less than a cent for thousands of starts",
    "AWS's free tiers, discounts, support and taxes",
)

OTHER_STARTS = "other starts"  # by objects, by hand and by retries
_GB = 1e9
_MONTH_DAYS = 30.4


@dataclass(frozen=True)
class TaskCost:
    """The runs of a task in the month and their price by architecture; None where it is unknown.

    ``starts`` has the number of runs by source: a schedule, a workflow, or other starts. ``seconds`` is the mean of the
    time for which a run is billed, and ``basis`` its source.
    """

    task: str
    size: Size
    scratch: int
    starts: Mapping[str, float]
    seconds: float | None
    median_seconds: float | None
    basis: str
    prices: Mapping[Architecture, float | None]

    @property
    def runs(self) -> float:
        """The number of runs."""
        return fsum(self.starts.values())


@dataclass(frozen=True)
class WorkflowCost:
    """The executions of a workflow in the month, the transitions of one, and the price of all, None if unknown."""

    workflow: str
    starts: Mapping[str, float]
    transitions: float
    basis: str
    price: float | None

    @property
    def executions(self) -> float:
        """The number of executions."""
        return fsum(self.starts.values())


@dataclass(frozen=True)
class LogCost:
    """The lines that the tasks write in the month, in GB, and the price to ingest and to store them.

    ``stored_gb`` are the compressed lines of the whole retention time, which the log has once it is full.
    """

    gb: float | None
    stored_gb: float | None
    ingestion: float | None
    storage: float | None


@dataclass(frozen=True)
class Estimate:
    """The estimate of a month. ``unknown`` has a sentence for each part that no total includes."""

    environment: str
    month: Month
    prices: Prices
    observations: Observations
    tasks: tuple[TaskCost, ...]
    workflows: tuple[WorkflowCost, ...]
    log: LogCost
    unknown: tuple[str, ...] = field(default=())

    def total(self, architecture: Architecture) -> float | None:
        """Return the sum of all known parts; None if no price of this architecture is known."""
        if self.prices.find(*list_price_keys(0, architecture)) is None:
            return None
        parts = [*(task.prices[architecture] for task in self.tasks), *(one.price for one in self.workflows)]
        return fsum(part for part in (*parts, self.log.ingestion, self.log.storage) if part is not None)


def estimate_month(
    catalog: Catalog,
    environment: Environment,
    month: Month,
    observations: Observations,
    first_seen: Mapping[str, datetime] | None = None,
) -> Estimate:
    """Return the estimate of a month of an environment, whose runs are like those of ``observations``."""
    estimator = _Estimator(catalog, environment, month, observations, first_seen or {})
    workflows = tuple(map(estimator.price_workflow, catalog.workflows.values()))
    tasks = tuple(map(estimator.price_task, catalog.tasks.values()))
    estimator.explain_durations()
    log = estimator.price_log(tasks)
    return Estimate(
        environment.name, month, estimator.prices, observations, tasks, workflows, log, tuple(estimator.unknown)
    )


class _Estimator:
    def __init__(
        self,
        catalog: Catalog,
        environment: Environment,
        month: Month,
        observed: Observations,
        first_seen: Mapping[str, datetime],
    ) -> None:
        self.prices = find_prices(environment)
        self.unknown: list[str] = []
        self._catalog = catalog
        self._environment = environment
        self._month = month
        self._observed = observed
        self._fires = count_starts(catalog, environment, month.begin, month.end, first_seen)
        self._past_fires = count_starts(catalog, environment, observed.since, observed.until, first_seen)
        self._own = observed.environment == environment.name
        self._runs_of: dict[str, dict[str, float]] = {}  # task → workflow → runs in the month
        self._without_duration: list[str] = []
        if not self._own:
            self.unknown.append(
                f"starts by objects and by hand: the runs are those of {observed.environment}, "
                f"which has other starts than {environment.name}"
            )
        for architecture in ARCHITECTURES:
            keys = list_price_keys(0, architecture)
            if self.prices.find(*keys) is None:
                missing = self.prices.explain_missing(*keys)
                self.unknown.append(f"Fargate on {ARCHITECTURE_NAMES[architecture]}: {missing}")

    def _count(self, target: str, per_day: float) -> dict[str, float]:
        """Return the starts of a target in the month: the fires of its schedules, and its other starts.

        Other starts are those observed beyond the fires of the observed time.
        """
        found: dict[str, float] = dict(self._fires.get(target, {}))
        if self._own:
            past = sum(self._past_fires.get(target, {}).values()) / self._observed.days
            if (others := (per_day - past) * self._month.days) >= 0.5:
                found[OTHER_STARTS] = others
        return found

    def price_workflow(self, workflow: Workflow) -> WorkflowCost:
        """Return the price of a workflow's executions, and remember the runs of tasks in them."""
        observed = self._observed.workflows.get(workflow.name)
        starts = self._count(workflow.name, observed.per_day if observed else 0)
        usage, basis = self._measure(workflow)
        executions = fsum(starts.values())
        for task, runs in usage.runs.items():
            if executions and task in self._catalog.tasks:
                self._runs_of.setdefault(task, {})[workflow.name] = runs * executions
        found = self.prices.find("states_thousand_transitions")
        price = None if found is None else found[0] * usage.transitions * executions / 1000
        if found is None and executions:
            missing = self.prices.explain_missing("states_thousand_transitions")
            self.unknown.append(f"Step Functions, {workflow.name}: {missing}")
        if executions and (maps := list_distributed_maps(workflow.definition)):
            self.unknown.append(
                f"Step Functions, {workflow.name}: the child executions of {', '.join(maps)}, "
                "whose number depends on the input"
            )
        return WorkflowCost(workflow.name, starts, usage.transitions, basis, price)

    def _measure(self, workflow: Workflow) -> tuple[ExecutionUsage, str]:
        observed = self._observed.workflows.get(workflow.name)
        check = ExecutionUsage(count_overlap_transitions(workflow.overlap))
        if observed is None or observed.usage is None:
            return measure_definition(workflow.definition) + check, "its definition: no executions"
        basis = f"mean of {observed.examined} executions" if observed.examined > 1 else "its last execution"
        return observed.usage if self._observed.deployed else observed.usage + check, basis

    def price_task(self, task: Task) -> TaskCost:
        """Return the price of a task's runs. Call it after :meth:`price_workflow` for all workflows."""
        observed = self._observed.tasks.get(task.name)
        starts = self._count(task.name, observed.direct_per_day if observed else 0)
        starts |= self._runs_of.get(task.name, {})
        seconds: float | None = None
        median, basis = None, "no runs"
        if observed is not None:
            seconds, median = observed.billed_seconds, observed.median_seconds
            basis = f"mean of {observed.runs} runs" if observed.runs > 1 else "its one run"
        elif task.expected is not None:
            seconds, basis = bill_seconds(task.expected.total_seconds()), "expected duration: no runs"
        runs = fsum(starts.values())
        prices: dict[Architecture, float | None] = {}
        for architecture in ARCHITECTURES:
            if not runs:
                prices[architecture] = 0.0
            elif seconds is None:
                prices[architecture] = None
            else:
                prices[architecture] = price_seconds(task.size, task.scratch, seconds * runs, self.prices, architecture)
        if runs and seconds is None:
            self._without_duration.append(f"{task.name} (about {runs:,.0f} runs)")
        elif runs and prices["x86"] is None and self.prices.find(*list_price_keys(0, "x86")):
            missing = self.prices.explain_missing(*list_price_keys(task.scratch, "x86"))
            self.unknown.append(f"Fargate, {task.name}: {missing}")
        return TaskCost(task.name, task.size, task.scratch, starts, seconds, median, basis, prices)

    def explain_durations(self) -> None:
        """Add the tasks whose duration is not known to the unknown parts."""
        if self._without_duration:
            listed = ", ".join(self._without_duration)
            self.unknown.append(f"Fargate: no run in {self._observed.environment} gives the duration of {listed}")

    def _measure_log(self, tasks: tuple[TaskCost, ...]) -> float | None:
        """Return the GB that the runs of the month log: as much as before, or by the logs of each task's runs."""
        if self._own and self._observed.log_bytes is not None:
            return self._observed.log_bytes / self._observed.days * self._month.days / _GB
        sizes: list[float] = []
        without = []
        for cost in tasks:
            observed = self._observed.tasks.get(cost.task)
            if cost.runs and observed is not None and observed.log_bytes is not None:
                sizes.append(observed.log_bytes * cost.runs)
            elif cost.runs:
                without.append(cost.task)
        if without and not sizes:
            self.unknown.append(f"CloudWatch Logs: the sizes of the logs are not known in {self._observed.environment}")
        elif without:
            self.unknown.append(f"CloudWatch Logs: the sizes of the logs of {', '.join(without)}")
        return fsum(sizes) / _GB if sizes else None

    def price_log(self, tasks: tuple[TaskCost, ...]) -> LogCost:
        """Return the price of the lines that these runs write."""
        gb = self._measure_log(tasks)
        if gb is None:
            return LogCost(None, None, None, None)
        retention = self._environment.aws.log_retention_days if self._environment.aws is not None else 365
        stored = gb * COMPRESSION * retention / _MONTH_DAYS
        ingestion, storage = (
            None if (found := self.prices.find(key)) is None else found[0] * amount
            for key, amount in (("logs_gb", gb), ("logs_storage_gb_month", stored))
        )
        for name, price, key in (("lines", ingestion, "logs_gb"), ("storage", storage, "logs_storage_gb_month")):
            if price is None:
                self.unknown.append(f"CloudWatch Logs, {name}: {self.prices.explain_missing(key)}")
        return LogCost(gb, stored, ingestion, storage)
