"""Tasks on ECS: start one, once; describe, list and stop them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from nightferry.aws.runs.journal import Journal, JournaledCall
from nightferry.aws.session import Aws
from nightferry.backend.interface import CredentialsExpired, Refused, Unreachable
from nightferry.clock import Clock
from nightferry.contract import parse_arn_id

_DESCRIBED_AT_ONCE = 100  # ECS API, DescribeTasks
_WAITS = (2, 5, 10, 20, 40)  # seconds before another attempt, where one may help
# Failures of RunTask that pass by themselves (ECS guide, "API failure reasons"); all others stay.
_PASSING = re.compile(r"Capacity is unavailable|RESOURCE:|AGENT", re.IGNORECASE)


class NotPlaced(Refused):
    """ECS took the call and placed no task; the message has its reasons."""


class Tasks:
    """The tasks of one cluster. ``tell`` is called with a sentence when something takes longer."""

    def __init__(self, aws: Aws, journal: Journal, clock: Clock, tell: Callable[[str], None]) -> None:
        self._aws = aws
        self._journal = journal
        self._clock = clock
        self._tell = tell

    def start(self, request: dict[str, Any]) -> Mapping[str, Any]:
        """Start a task, once, and answer it; ``request`` are the parameters of RunTask. Raises NotPlaced, Refused.

        After Unreachable it is not known whether it started: the next call for the same takes it up.
        """
        for wait in (*_WAITS, None):
            with self._journal.call(request) as call:
                if call.repeated:
                    self._tell("An earlier call for the same had no answer: asking again for the task that it started.")
                answer = self._run(request, call)
            if answer["tasks"]:
                task: Mapping[str, Any] = answer["tasks"][0]
                return task
            reasons = [_reason(failure) for failure in answer["failures"]] or ["no reason given"]
            if wait is None or not all(_PASSING.search(reason) for reason in reasons):
                raise NotPlaced(
                    f"ECS started nothing for {request['taskDefinition']}: {'; '.join(reasons)}. {_advice(reasons)}"
                )
            self._tell(f"ECS has no room yet ({'; '.join(reasons)}). Trying again in {wait} s.")
            self._clock.sleep(wait)
        raise AssertionError("the last attempt answers or raises")

    def _run(self, request: dict[str, Any], call: JournaledCall) -> Mapping[str, Any]:
        """Call RunTask, again with the same token where it had no answer."""
        for wait in (*_WAITS, None):
            try:
                with self._aws.asking(f"the start of {request['taskDefinition']}"):
                    answer: Mapping[str, Any] = self._aws.ecs.run_task(**request, clientToken=call.token)
                    return answer
            except CredentialsExpired:
                raise
            except Unreachable as error:
                call.uncertain = True
                if wait is None:
                    raise Unreachable(
                        f"{error} Whether the task started is not known. Give the same command again within a day: it "
                        "takes up the task, and never starts a second one."
                    ) from None
                self._tell(f"{error} Trying again in {wait} s; the task starts once in any case.")
                self._clock.sleep(wait)
        raise AssertionError("the last attempt answers or raises")

    def describe(self, cluster: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """What ECS knows of these tasks, by id. It forgets a stopped task after an hour or more."""
        found: dict[str, Mapping[str, Any]] = {}
        for some in _parts(ids, _DESCRIBED_AT_ONCE):
            with self._aws.asking(f"the state of {'task ' + some[0] if len(some) == 1 else 'tasks'}"):
                for task in self._aws.ecs.describe_tasks(cluster=cluster, tasks=list(some))["tasks"]:
                    found[parse_arn_id(task["taskArn"])] = task
        return found

    def ids(self, cluster: str, family: str | None = None) -> list[str]:
        """The ids of all tasks that ECS still knows, running or stopped, of one family or of all."""
        found: list[str] = []
        states: tuple[Literal["RUNNING", "STOPPED"], ...] = ("RUNNING", "STOPPED")
        for desired in states:
            with self._aws.asking("the list of tasks"):
                for page in self._aws.ecs.get_paginator("list_tasks").paginate(
                    cluster=cluster,
                    desiredStatus=desired,
                    **({"family": family} if family else {}),  # type: ignore[arg-type]
                ):
                    found += map(parse_arn_id, page["taskArns"])
        return list(dict.fromkeys(found))

    def stop(self, cluster: str, id: str, reason: str) -> None:
        """Ask ECS to stop a task: SIGTERM now, SIGKILL after the task's stop timeout."""
        with self._aws.asking(f"to stop task {id}"):
            self._aws.ecs.stop_task(cluster=cluster, task=id, reason=reason[:255])


def _reason(failure: Mapping[str, Any]) -> str:
    detail = failure.get("detail")
    return f"{failure.get('reason', 'no reason given')}{f' ({detail})' if detail else ''}"


def _advice(reasons: Iterable[str]) -> str:
    if any("Capacity" in reason for reason in reasons):
        return "Fargate had no capacity for minutes: try later, another size (--cpu, --memory), or more subnets."
    return "The ECS guide explains it under 'API failure reasons'."


def _parts(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
