"""Repeats of failed runs on ECS: the same task starts again with the same inputs.

``startedBy`` of the new run names the run that it repeats. Before a start, ECS and the log of task state changes are
searched for it. Calls at the same time have the same client token. Only after ECS has placed no task does the token
depend on the hour, because ECS repeats the failure for as long as it remembers the token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

from nightferry.aws.runs.once import AlreadyStarted, NotPlaced, start_once
from nightferry.aws.runs.outcomes import Outcomes
from nightferry.aws.session import Aws, ResourceNotFound, create_client
from nightferry.backend.runs import TaskRun
from nightferry.clock import Clock
from nightferry.contract import Naming, RepeatedBy, format_repeat, parse_arn_id

_FURTHER_ATTEMPTS = 3


def start_repeat(aws: Aws, request: dict[str, Any], run: str, clock: Clock) -> str:
    """Start the repeat of ``run`` and return its ID. ``request`` is the parameters of RunTask.

    Raises NotPlaced and the errors of :meth:`Aws.translate_errors`.
    """
    try:
        return start_once(aws, request, _list_tokens(run, clock), clock)
    except AlreadyStarted as started:
        return started.run
    except NotPlaced as failed:
        raise NotPlaced(f"ECS did not start {request['taskDefinition']}: {failed}. Try again later.") from None


def find_repeat(aws: Aws, outcomes: Outcomes, cluster: str, run: TaskRun) -> str | None:
    """Return the ID of the run that repeats ``run``, or None."""
    for by in get_args(RepeatedBy):
        started_by = format_repeat(by, run.id)
        with aws.translate_errors("list tasks"):
            # Only the tasks that are not to stop, because ECS permits no other filter beside startedBy.
            if running := aws.ecs.list_tasks(cluster=cluster, startedBy=started_by)["taskArns"]:
                return parse_arn_id(running[0])
        if found := outcomes.find_id_by_starter(started_by, run.stopped_at or run.created_at):
            return found
    return None


def find_planned(aws: Aws, naming: Naming, run: str) -> datetime | None:
    """Return the time of the schedule that will start the retry of ``run``; None if there is none."""
    try:
        with aws.translate_errors(f"read the planned retry of {run}", missing=("ResourceNotFoundException",)):
            found = create_client(aws, "scheduler").get_schedule(GroupName=naming.retries, Name=run)
    except ResourceNotFound:
        return None
    return datetime.strptime(found["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)


def _list_tokens(run: str, clock: Clock) -> Iterator[str]:
    yield _digest(run)
    for attempt in range(_FURTHER_ATTEMPTS):
        yield _digest(run, f"{clock.now():%Y-%m-%dT%H}", str(attempt))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(("repeat", *parts)).encode()).hexdigest()
