"""Repeats of failed runs on ECS: the same task starts again with the same inputs.

``startedBy`` of the new run names the run that it repeats. Before a start, ECS and the log of task state changes are
searched for it. Calls at the same time have the same client token. Only after ECS has placed no task does the token
depend on the hour, because ECS repeats the failure for as long as it remembers the token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from nightferry.aws.runs.once import AlreadyStarted, NotPlaced, start_once
from nightferry.aws.runs.outcomes import Outcomes
from nightferry.aws.session import Aws
from nightferry.backend.interface import TaskRun
from nightferry.clock import Clock
from nightferry.contract import format_rerun, parse_arn_id

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
    started_by = format_rerun(run.id)
    with aws.translate_errors("list tasks"):
        # Only the tasks that are not to stop, because ECS permits no other filter beside startedBy.
        if running := aws.ecs.list_tasks(cluster=cluster, startedBy=started_by)["taskArns"]:
            return parse_arn_id(running[0])
    return outcomes.find_id_by_starter(started_by, run.stopped_at or run.created_at)


def _list_tokens(run: str, clock: Clock) -> Iterator[str]:
    yield _digest(run)
    for attempt in range(_FURTHER_ATTEMPTS):
        yield _digest(run, f"{clock.now():%Y-%m-%dT%H}", str(attempt))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(("repeat", *parts)).encode()).hexdigest()
