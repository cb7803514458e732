"""Tasks on ECS: start them idempotently, describe, list and stop them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from nightferry.aws.runs.journal import Journal, JournaledCall
from nightferry.aws.session import Aws, NotFromAws
from nightferry.backend.interface import CredentialsExpired, Refused, Unreachable
from nightferry.clock import Clock
from nightferry.contract import parse_arn_id

_DESCRIBE_LIMIT = 100  # tasks per call (ECS API, DescribeTasks)
_RETRY_SECONDS = (2, 5, 10, 20, 40)  # delays before the attempts after a transient failure
# Failures of RunTask that are transient (ECS guide, "API failure reasons"). All others are permanent.
_TRANSIENT = re.compile(r"Capacity is unavailable|RESOURCE:|AGENT", re.IGNORECASE)


class NotPlaced(Refused):
    """ECS accepted the call but placed no task. The message has its reasons."""


class Tasks:
    """The tasks of one cluster. ``report`` is called with a message when a call is delayed or repeated."""

    def __init__(self, aws: Aws, journal: Journal, clock: Clock, report: Callable[[str], None]) -> None:
        self._aws = aws
        self._journal = journal
        self._clock = clock
        self._report = report

    def start(self, request: dict[str, Any]) -> Mapping[str, Any]:
        """Start a task idempotently, and return ECS's description of it.

        ``request`` is the parameters of RunTask. Raises NotPlaced and Refused. After Unreachable, the task may have
        started; the next call with the same request returns it.
        """
        for wait in (*_RETRY_SECONDS, None):
            with self._journal.record(request) as call:
                if call.repeated:
                    self._report("An earlier, identical call got no response. Checking whether it started a task.")
                response = self._run(request, call)
            if response["tasks"]:
                task: Mapping[str, Any] = response["tasks"][0]
                return task
            reasons = [_format_reason(failure) for failure in response["failures"]] or ["no reason given"]
            if wait is None or not all(_TRANSIENT.search(reason) for reason in reasons):
                raise NotPlaced(
                    f"ECS did not start {request['taskDefinition']}: {'; '.join(reasons)}. {_suggest_fix(reasons)}"
                )
            self._report(f"ECS has no capacity ({'; '.join(reasons)}). Retrying in {wait} s.")
            self._clock.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _run(self, request: dict[str, Any], call: JournaledCall) -> Mapping[str, Any]:
        """Call RunTask. Repeat the call with the same token if no response arrives."""
        for wait in (*_RETRY_SECONDS, None):
            try:
                with self._aws.translate_errors(f"start {request['taskDefinition']}"):
                    response: Mapping[str, Any] = self._aws.ecs.run_task(**request, clientToken=call.token)
                    return response
            except CredentialsExpired:
                raise
            except Unreachable as error:
                call.uncertain = True
                if wait is None or isinstance(error, NotFromAws):
                    raise Unreachable(
                        f"{error} The task may have started. Run the same command again within 24 hours: it follows "
                        "that task, and does not start a second one."
                    ) from None
                self._report(f"{error} Retrying in {wait} s. The task starts only once.")
                self._clock.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def describe(self, cluster: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return ECS's descriptions of these tasks, by ID. ECS forgets a stopped task after an hour or more."""
        found: dict[str, Mapping[str, Any]] = {}
        for batch in _split(ids, _DESCRIBE_LIMIT):
            with self._aws.translate_errors(f"describe {'task ' + batch[0] if len(batch) == 1 else 'tasks'}"):
                for task in self._aws.ecs.describe_tasks(cluster=cluster, tasks=list(batch))["tasks"]:
                    found[parse_arn_id(task["taskArn"])] = task
        return found

    def list_ids(self, cluster: str, family: str | None = None) -> list[str]:
        """Return the IDs of all tasks that ECS has not forgotten, running or stopped, of one family or of all."""
        found: list[str] = []
        states: tuple[Literal["RUNNING", "STOPPED"], ...] = ("RUNNING", "STOPPED")
        for desired in states:
            with self._aws.translate_errors("list tasks"):
                for page in self._aws.ecs.get_paginator("list_tasks").paginate(
                    cluster=cluster,
                    desiredStatus=desired,
                    **({"family": family} if family else {}),  # type: ignore[arg-type]
                ):
                    found += map(parse_arn_id, page["taskArns"])
        return list(dict.fromkeys(found))

    def stop(self, cluster: str, id: str, reason: str) -> None:
        """Request the stop of a task. ECS sends SIGTERM, and SIGKILL after the task's stop timeout."""
        with self._aws.translate_errors(f"stop task {id}"):
            self._aws.ecs.stop_task(cluster=cluster, task=id, reason=reason[:255])


def _format_reason(failure: Mapping[str, Any]) -> str:
    detail = failure.get("detail")
    return f"{failure.get('reason', 'no reason given')}{f' ({detail})' if detail else ''}"


def _suggest_fix(reasons: Iterable[str]) -> str:
    if any("Capacity" in reason for reason in reasons):
        return "Fargate had no capacity. Try again later, use another size (--cpu, --memory), or add subnets."
    return "See 'API failure reasons' in the ECS guide."


def _split(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
