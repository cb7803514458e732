"""Start a task once, with client tokens that are derived from the reason of the start.

ECS returns the original response for a token that it knows, including failures. A start therefore uses the first token
for which ECS does not return failures.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from nightferry.aws.runs.retries import call_when_ready
from nightferry.aws.session import Aws, TokenUsed
from nightferry.backend.errors import Refused
from nightferry.clock import Clock
from nightferry.contract import parse_arn_id


class NotPlaced(Refused):
    """ECS accepted the call but placed no task. The message has its reasons."""


class AlreadyStarted(Refused):
    """An earlier call with the same token and other parameters has started the task ``run``."""

    def __init__(self, run: str) -> None:
        super().__init__(f"The task was already started, as run {run}.")
        self.run = run


def start_once(aws: Aws, request: dict[str, Any], tokens: Iterable[str], clock: Clock) -> str:
    """Start a task with the first of the tokens for which ECS returns no failures, and return its ID.

    ``request`` is the parameters of RunTask, without the client token. A call with a token that has started a task
    returns the ID of that task. Raises NotPlaced, AlreadyStarted, and the errors of :meth:`Aws.translate_errors`.
    """
    reasons: list[str] = []
    for token in tokens:
        response = call_when_ready(partial(_call, aws, request, token), clock)
        if tasks := response.get("tasks"):
            return parse_arn_id(tasks[0]["taskArn"])
        reasons = [failure.get("reason", "no reason given") for failure in response.get("failures") or []]
        if not reasons:
            break  # not a response of ECS, so the next token must not be used
    raise NotPlaced(", ".join(reasons) or "no task and no failure in the response")


def _call(aws: Aws, request: dict[str, Any], token: str) -> dict[str, Any]:
    try:
        with aws.translate_errors(f"start {request.get('taskDefinition')}"):
            response: Any = aws.ecs.run_task(**request, clientToken=token)
    except TokenUsed as conflict:
        if conflict.tasks:
            raise AlreadyStarted(parse_arn_id(conflict.tasks[0])) from None
        # A call before a deployment has used the token, and started nothing.
        return {"failures": [{"reason": "an earlier call with other parameters started no task"}]}
    started: dict[str, Any] = response  # a copy would not read missing members by the model
    return started
