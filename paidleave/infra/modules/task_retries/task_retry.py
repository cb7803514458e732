"""Start a failed task again (AWS Lambda, invoked asynchronously by EventBridge and by EventBridge Scheduler).

::

    a task stopped (ECS Task State Change) ──► this function ──► a one-time schedule ──► this function ──► RunTask
                                                     └──── the delay is at most a minute ────────────────────▲

The file ``retries.json`` next to this one has, by family, the declaration ``retry`` of each task: ``container``,
``definition`` (ARN without a revision), ``attempts``, ``interval`` (seconds) and ``backoff``.

Steps of workflows are left alone, because Step Functions retries them. A task starts again once, however often its
event arrives: a schedule's name and the client token of RunTask are derived from the failed task. After ECS has
forgotten the token, the log of task state changes has the repeat, whose ``startedBy`` names the failed task. The token
is also that of ``nightferry redrive``.

A start that fails raises an exception, so that Lambda retries the event and then sends it to the dead-letter queue.
"""

import hashlib
import json
import os
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# Three attempts of 15 s each, and the longest wait, fit into the function's timeout of 150 s.
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=15)

_LONGEST_WAIT = timedelta(seconds=60)  # EventBridge Scheduler is precise to a minute
_ATTEMPT = "NIGHTFERRY_ATTEMPT"
_EXECUTION = "SFN_EXECUTION_ID"
_NOT_INPUTS = (_ATTEMPT, _EXECUTION, "NIGHTFERRY_RUN_ID", "NIGHTFERRY_START_ID")
_REPEATED = ("command", "cpu", "memory")  # of the overrides, besides the variables
_SUCCESS, _BAD_SETTINGS, _KILLED, _STOPPED = 0, 2, 137, 143

# The errors of reading a JSON document in another form than expected.
_UNREADABLE = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


class NotFromAws(Exception):
    """Another server than AWS responded, such as a proxy."""


class NotStarted(Exception):
    """ECS did not start the task. The message has its reasons."""


class UnknownEvent(Exception):
    """The event is neither a stopped task nor a retry that this function has planned."""


def handler(
    event: dict[str, Any],
    context: Any,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, str | None]:
    """Plan or start the next attempt of a task, and return the decision."""
    with _reading():
        if isinstance(planned := event.get("retry"), dict):
            planned = _read_planned(planned)
        elif event.get("detail-type") == "ECS Task State Change" and isinstance(event.get("detail"), dict):
            planned = _plan(event["detail"])
        else:
            raise UnknownEvent("The event is neither a stopped task nor a planned retry.")
        delay = timedelta() if planned is None else datetime.fromisoformat(planned["due"]) - now()
    if planned is None:
        return _log("left alone", task=str(event["detail"].get("taskArn")))
    if "retry" in event:
        return _start(planned, now())
    if delay > _LONGEST_WAIT:
        return _schedule(planned, context.invoked_function_arn)
    if delay > timedelta():
        sleep(delay.total_seconds())
    return _start(planned, now())


@contextmanager
def _reading() -> Iterator[None]:
    """Raise UnknownEvent for an event whose members do not have the documented form."""
    try:
        yield
    except _UNREADABLE as error:
        raise UnknownEvent(f"The event does not have the documented form ({type(error).__name__}).") from error


# ── decisions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _plan(detail: dict[str, Any]) -> dict[str, Any] | None:
    """Return the next attempt of a stopped task; None if there is none."""
    family = str(detail.get("taskDefinitionArn")).rpartition("/")[2].partition(":")[0]
    retry = _read_retries().get(family)
    if retry is None or detail.get("lastStatus") != "STOPPED":
        return None
    override = _find_by_name(detail.get("overrides", {}).get("containerOverrides"), retry["container"])
    variables = {item["name"]: item["value"] for item in override.get("environment", [])}
    attempt = int(variables.get(_ATTEMPT, "1"))
    if detail.get("startedBy") == "AWS Step Functions" or _EXECUTION in variables or attempt > retry["attempts"]:
        return None
    if not is_worth_retrying(read_exit_code(detail, retry["container"]), detail.get("stopCode")):
        return None
    inputs = {name: value for name, value in variables.items() if name not in _NOT_INPUTS}
    # Roles and files of variables that a person chose for the failed task are not used again with this function's role.
    container: dict[str, Any] = {
        **{key: override[key] for key in _REPEATED if key in override},
        "name": retry["container"],
        "environment": [{"name": key, "value": text} for key, text in {**inputs, _ATTEMPT: str(attempt + 1)}.items()],
    }
    stopped = str(detail["stoppedAt"])
    delay = timedelta(seconds=retry["interval"] * retry["backoff"] ** (attempt - 1))
    return {
        "task": str(detail["taskArn"]).rpartition("/")[2],
        "family": family,
        "attempt": attempt + 1,
        "stopped": stopped,
        "due": (datetime.fromisoformat(stopped) + delay).isoformat(),
        "overrides": {
            **{key: detail["overrides"][key] for key in _REPEATED if key in detail.get("overrides", {})},
            "containerOverrides": [container],
        },
    }


def _read_planned(planned: dict[str, Any]) -> dict[str, Any]:
    """Return an attempt that this function has planned, with its members checked."""
    if not (isinstance(planned["overrides"], dict) and isinstance(planned["attempt"], int)):
        raise TypeError
    for name in ("stopped", "due"):
        datetime.fromisoformat(planned[name])
    if planned["family"] not in _read_retries():
        raise UnknownEvent(f"Family {planned['family']} has no retry. Deploy the environment again.")
    planned["task"].encode()
    return planned


def read_exit_code(detail: dict[str, Any], container: str) -> int | None:
    """Return the exit code of the task's own container, by the rules of ``nightferry.aws.runs.runs``."""
    own = _find_by_name(detail.get("containers"), container)
    code: int | None = own.get("exitCode")
    if not code and "outofmemory" in f"{detail.get('stoppedReason')} {own.get('reason')}".lower():
        return _KILLED
    if code == _SUCCESS and detail.get("stopCode") == "TaskFailedToStart":
        return None
    if code == _SUCCESS and detail.get("stopCode", "EssentialContainerExited") not in (
        "EssentialContainerExited",
        "UserInitiated",
    ):
        return _STOPPED
    return code


def is_worth_retrying(exit_code: int | None, stop_code: str | None) -> bool:
    """Return True if the end of a task is a failure that a retry may repair: see ``nightferry.contract``."""
    if stop_code == "UserInitiated" or exit_code in (_SUCCESS, _BAD_SETTINGS):
        return False
    return not (exit_code == _STOPPED and stop_code in (None, "EssentialContainerExited"))


def _find_by_name(items: Any, name: str) -> dict[str, Any]:
    return next((item for item in items or () if item.get("name") == name), {})


# ── starts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _schedule(planned: dict[str, Any], function: str) -> dict[str, str | None]:
    """Create the schedule that invokes this function at the time of the attempt and then deletes itself."""
    if repeat := _find_repeat(planned):
        return _log("started before", task=planned["task"], repeat=repeat)
    due = datetime.fromisoformat(planned["due"]).astimezone(UTC)
    # Scheduler replaces keywords such as <aws.scheduler.attempt-number>, which an object's key could contain.
    input = json.dumps({"retry": planned}).replace("<", "\\u003c")
    try:
        _get_client("scheduler").create_schedule(
            GroupName=os.environ["SCHEDULE_GROUP"],
            Name=planned["task"],
            ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
            ScheduleExpressionTimezone="UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": function,
                "RoleArn": os.environ["SCHEDULE_ROLE"],
                "Input": input,
                "RetryPolicy": {"MaximumEventAgeInSeconds": 21600, "MaximumRetryAttempts": 185},
                "DeadLetterConfig": {"Arn": os.environ["DEAD_LETTERS"]},
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConflictException":
            raise
        return _log("planned before", task=planned["task"])
    return _log("planned", task=planned["task"], attempt=str(planned["attempt"]), at=due.isoformat())


def _start(planned: dict[str, Any], now: datetime) -> dict[str, str | None]:
    """Start the attempt, unless the failed task was repeated before."""
    if repeat := _find_repeat(planned):
        return _log("started before", task=planned["task"], repeat=repeat)
    reasons: list[str] = []
    for token in _list_tokens(planned["task"], now):
        try:
            response = _get_client("ecs").run_task(**_build_request(planned), clientToken=token)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConflictException":
                raise
            conflict: Any = error.response
            if conflict.get("resourceIds"):
                return _log("started before", task=planned["task"], repeat=", ".join(conflict["resourceIds"]))
            reasons = ["an earlier call with other parameters started no task"]
            continue
        if tasks := response.get("tasks"):
            return _log("started", task=planned["task"], repeat=tasks[0].get("taskArn"))
        reasons = [failure.get("reason", "no reason given") for failure in response.get("failures") or []]
        if not reasons:
            break  # not a response of ECS, so the next token must not be used
    problem = ", ".join(reasons) or "no task and no failure returned"
    raise NotStarted(f"ECS did not start {planned['family']}: {problem}")


def _list_tokens(task: str, now: datetime) -> Iterator[str]:
    """Yield the token of a repeat of the task, and one of this minute, because ECS repeats a failure for a token."""
    for parts in ((task,), (task, f"{now:%Y-%m-%dT%H:%M}")):
        yield hashlib.sha256("\n".join(("repeat", *parts)).encode()).hexdigest()


def _build_request(planned: dict[str, Any]) -> dict[str, Any]:
    return {
        "cluster": os.environ["CLUSTER"],
        "taskDefinition": _read_retries()[planned["family"]]["definition"],
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "startedBy": f"retry/{planned['task'][:28]}",
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": os.environ["SUBNETS"].split(","),
                "securityGroups": os.environ["SECURITY_GROUPS"].split(","),
                "assignPublicIp": "DISABLED",
            }
        },
        "overrides": planned["overrides"],
    }


def _find_repeat(planned: dict[str, Any]) -> str | None:
    """Return the ARN of the task that repeats the failed one, from the log of task state changes."""
    starters = [f"{by}/{planned['task'][:28]}" for by in ("retry", "rerun")]
    pages = (
        _get_client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=os.environ["EVENT_LOG_GROUP"],
            startTime=int(datetime.fromisoformat(planned["stopped"]).timestamp() * 1000),
            filterPattern="{ " + " || ".join(f'($.detail.startedBy = "{starter}")' for starter in starters) + " }",
        )
    )
    for page in pages:
        for event in page.get("events", []):
            with _reading():
                detail = json.loads(event["message"])["detail"]
                if detail.get("startedBy") in starters:
                    return str(detail["taskArn"])
    return None


@cache
def _read_retries() -> dict[str, dict[str, Any]]:
    retries: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("retries.json").read_text())
    return retries


@cache
def _get_client(service: str) -> Any:
    create: Any = boto3.client
    client: Any = create(service, config=_CONFIG)
    client.meta.events.register("after-call", _check_origin)
    return client


def _check_origin(http_response: Any, **_: object) -> None:
    """Raise NotFromAws without a request ID. botocore reads a page with status 200 as an empty response."""
    if not http_response.headers.get("x-amzn-requestid"):
        host, status = urllib.parse.urlsplit(http_response.url).netloc, http_response.status_code
        raise NotFromAws(
            f"The response of {host} (status {status}) is not from AWS, because it has no request ID. Check the "
            "function's route to AWS: proxy, firewall, endpoint."
        )


def _log(decision: str, **fields: str | None) -> dict[str, str | None]:
    sys.stdout.write(json.dumps({"decision": decision, **fields}) + "\n")
    return {"decision": decision, **fields}
