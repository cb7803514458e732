"""Tasks on ECS: start them idempotently, describe, list and stop them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from nightferry.aws.runs.journal import Journal, JournaledCall
from nightferry.aws.runs.once import NotPlaced
from nightferry.aws.runs.outcomes import Outcomes
from nightferry.aws.runs.request import add_start
from nightferry.aws.runs.retries import RETRY_SECONDS, vary
from nightferry.aws.session import Aws, NotFromAws, TemporarilyRefused
from nightferry.backend.errors import CredentialsExpired, Refused, Unreachable
from nightferry.clock import Clock
from nightferry.contract import parse_arn_id

LONGEST_REASON = 255  # characters of the reason of a stop (ECS API, StopTask)
_DESCRIBE_LIMIT = 100  # tasks per call (ECS API, DescribeTasks)
# ECS remembers a token for the lesser of 24 hours and the task's lifetime plus one hour (ECS API, "Ensuring
# idempotency"): for at least an hour after a start.
_TOKEN_LIFETIME = timedelta(minutes=55)
# Failures of RunTask that are transient (ECS guide, "API failure reasons"). All others are permanent.
_TRANSIENT = re.compile(r"Capacity is unavailable|RESOURCE:|AGENT", re.IGNORECASE)


class Tasks:
    """The tasks of one cluster. ``report`` is called with a message when a call is delayed or repeated."""

    def __init__(
        self, aws: Aws, journal: Journal, clock: Clock, report: Callable[[str], None], outcomes: Outcomes
    ) -> None:
        self._aws = aws
        self._journal = journal
        self._clock = clock
        self._report = report
        self._outcomes = outcomes

    def start(self, request: dict[str, Any], container: str) -> Mapping[str, Any]:
        """Start a task idempotently, and return ECS's description of it.

        ``request`` is the parameters of RunTask. ECS returns the original response for a token that it knows, including
        failures, so each further attempt has a new token. Raises NotPlaced and Refused. After Unreachable, the task may
        have started; the next call with the same request returns it.
        """
        for wait in (*RETRY_SECONDS, None):
            with self._journal.record(request) as call:
                if earlier := self._find_earlier(call):
                    return earlier
                response = self._run(request, container, call)
            if response.get("tasks"):
                task: Mapping[str, Any] = response["tasks"][0]
                return task
            reasons = [_format_reason(failure) for failure in response["failures"]]
            if wait is None or not all(_TRANSIENT.search(reason) for reason in reasons):
                raise NotPlaced(
                    f"ECS did not start {request['taskDefinition']}: {'; '.join(reasons)}. {_suggest_fix(reasons)}"
                )
            self._pause(wait, f"ECS has no capacity ({'; '.join(reasons)}).")
        raise AssertionError("the last attempt returns or raises")

    def _find_earlier(self, call: JournaledCall) -> Mapping[str, Any] | None:
        """Return the task of an earlier call whose token ECS may have forgotten."""
        if call.first_made is None:
            return None
        self._report("An earlier, identical call got no response. Checking whether it started a task.")
        if self._clock.now() - call.first_made < _TOKEN_LIFETIME:
            return None
        return self._outcomes.find_by_start(call.token, call.first_made)

    def _run(self, request: dict[str, Any], container: str, call: JournaledCall) -> Mapping[str, Any]:
        """Call RunTask. Repeat the call with the same token if no response arrives, or if AWS is not ready."""
        overrides = add_start(request.get("overrides", {}), container, call.token)
        for wait in (*RETRY_SECONDS, None):
            try:
                with self._aws.translate_errors(f"start {request['taskDefinition']}"):
                    response: Mapping[str, Any] = self._aws.ecs.run_task(
                        **{**request, "overrides": overrides}, clientToken=call.token
                    )
                if response.get("tasks") or response.get("failures"):
                    return response
                raise Unreachable(f"Cannot start {request['taskDefinition']}: the response has no task and no failure.")
            except CredentialsExpired:
                raise
            except TemporarilyRefused as error:
                if wait is None:
                    raise Refused(f"{error} The request was refused {len(RETRY_SECONDS) + 1} times.") from None
                self._pause(wait, str(error))
            except Unreachable as error:
                call.uncertain = True
                if wait is None or isinstance(error, NotFromAws):
                    raise Unreachable(
                        f"{error} The task may have started. Run the same command again within 24 hours: it follows "
                        "that task, and does not start a second one."
                    ) from None
                self._pause(wait, f"{error} The task starts only once.")
        raise AssertionError("the last attempt returns or raises")

    def _pause(self, seconds: float, problem: str) -> None:
        delay = vary(seconds)
        self._report(f"{problem} Retrying in {delay:.0f} s.")
        self._clock.sleep(delay)

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
            self._aws.ecs.stop_task(cluster=cluster, task=id, reason=reason[:LONGEST_REASON])


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
