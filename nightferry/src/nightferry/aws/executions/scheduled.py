"""Starts of schedules' targets for given times, and the runs and executions that were started for them.

A backfill starts what the deployed schedule would have started: it reads the schedule's target, with its input. A run
has its time in ``SCHEDULED_AT``, an execution in its input, so that the starts of the schedule itself are found too.
Two backfills of the same time start it once: the client token of a task and the name of an execution derive from the
schedule and the time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from nightferry.aws.executions.executions import Executions
from nightferry.aws.executions.targets import Target, build_request, read_target
from nightferry.aws.runs.once import AlreadyStarted, NotPlaced, start_once
from nightferry.aws.session import Aws
from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.runs import TaskRun
from nightferry.catalog.declarations import Schedule
from nightferry.clock import Clock
from nightferry.contract import SCHEDULE_VARIABLE, Naming, format_scheduled_time
from nightferry.environments.aws_resources import AwsResources

_FURTHER_ATTEMPTS = 3
_LATEST_START = timedelta(minutes=75)  # after its time; synthesis limits Scheduler's retries to an hour
_MAX_STARTED_BY = 36


class ScheduledStarts:
    """The starts of schedules in one environment."""

    def __init__(self, resources: AwsResources, aws: Aws, executions: Executions, clock: Clock) -> None:
        self._resources = resources
        self._naming: Naming = resources.naming
        self._aws = aws
        self._executions = executions
        self._clock = clock

    # ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────

    def find_runs(self, schedule: Schedule, times: Sequence[datetime], runs: Sequence[TaskRun]) -> dict[datetime, str]:
        """Return the last of the runs for each time that has one. A retry or redrive has the time of its first run."""
        ours = [run for run in runs if run.env.get(SCHEDULE_VARIABLE) == schedule.name]
        newest = {run.scheduled_at: run.id for run in sorted(ours, key=lambda run: run.created_at)}
        return {time: newest[time] for time in times if time in newest}

    def start_task(self, schedule: Schedule, time: datetime) -> str:
        """Start a task for a time, and return the ID of its run. Raises NotPlaced and NotStarted."""
        target = read_target(self._resources, self._aws, schedule, time)
        assert target.ecs is not None
        request = build_request(target, target.ecs, f"backfill/{schedule.name}"[:_MAX_STARTED_BY])
        try:
            return start_once(self._aws, request, self._list_tokens(schedule, time), self._clock)
        except AlreadyStarted as started:
            return started.run
        except NotPlaced as failed:
            raise NotPlaced(f"ECS did not start {schedule.target}: {failed}. Repeat the command later.") from None

    def _list_tokens(self, schedule: Schedule, time: datetime) -> Iterator[str]:
        """Yield the token of the start, and others of this hour, because ECS repeats a failure for a token."""
        parts = ["backfill", self._naming.prefix, schedule.name, format_scheduled_time(time)]
        yield _digest(parts)
        for attempt in range(_FURTHER_ATTEMPTS):
            yield _digest([*parts, f"{self._clock.now():%Y-%m-%dT%H}", str(attempt)])

    # ── workflows ─────────────────────────────────────────────────────────────────────────────────────────────

    def find_executions(self, schedule: Schedule, times: Sequence[datetime]) -> dict[datetime, str]:
        """Return the execution for each time that has one."""
        found: dict[datetime, str] = {}
        texts = {format_scheduled_time(time): time for time in times}
        for execution in self._executions.list_started(
            schedule.target, [(time, time + _LATEST_START) for time in times]
        ):
            input = execution.input
            if isinstance(input, dict) and input.get("schedule") == schedule.name and not was_skipped(execution):
                time = texts.get(str(input.get("scheduled_at")))
                if time is not None:
                    found.setdefault(time, execution.id)
        for time in times:
            if time not in found and (ours := self._find_own(schedule, time)[1]) is not None:
                found[time] = ours
        return found

    def start_workflow(self, schedule: Schedule, time: datetime) -> str:
        """Start an execution for a time, and return its name."""
        free, started = self._find_own(schedule, time)
        if started is not None:
            return started
        target: Target = read_target(self._resources, self._aws, schedule, time)
        self._executions.start_named(target.arn, free, target.input or "{}")
        return free

    def _find_own(self, schedule: Schedule, time: datetime) -> tuple[str, str | None]:
        """Return the first free name of an execution for a time, and the execution that a backfill started for it.

        An execution that was skipped because of the overlap policy did nothing, so that the next name is used.
        """
        base = name = f"{schedule.name}-{time:%Y%m%dT%H%M%SZ}"
        number = 1
        while (execution := self._executions.get(schedule.target, name)) is not None:
            if not was_skipped(execution):
                return name, name
            number += 1
            name = f"{base}-{number}"
        return name, None


def was_skipped(execution: WorkflowExecution) -> bool:
    """Return True if the execution ended at once because of its overlap policy: nightferry.terraform.overlap."""
    return isinstance(execution.output, dict) and execution.output.keys() == {"skipped", "running"}


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
