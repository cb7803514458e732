"""Publish a notice when an execution of a workflow has failed (AWS Lambda, invoked asynchronously by EventBridge).

The event is Step Functions' "Execution Status Change", which a rule per workflow selects for the statuses FAILED,
TIMED_OUT and ABORTED. The file ``notices.json`` next to this one has the notice of each state machine, by its ARN:
``workflow``, ``environment``, ``topic`` (ARN), ``subject`` and ``message`` (null for the message of this function).

The notice names the step, which the event does not contain: the function reads it from the execution's history. A
notice without a step is better than none, so an unreadable history is logged and the notice is sent without it.

An execution that a newer one replaced, because of the overlap policy of its workflow, has not failed: it has no notice.

The message is JSON for programs, and a text for subscribers by e-mail. The cause is in plain words, and personal data
and secrets in it are masked by their patterns, because notices leave the account.

EventBridge delivers an event at least once, so a notice can arrive twice. A failed publication raises an exception, so
that Lambda retries the event and then sends it to the dead-letter queue.
"""

import json
import os
import re
import sys
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Three attempts of 15 s each fit into the function's timeout of 120 s.
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=15)

_MAX_SUBJECT_CHARACTERS = 100  # SNS API, Publish
_REPLACED = "Replaced by execution "  # the cause of nightferry.contract.format_replacement
_MAX_MASKED = 5000  # characters of a text that a notice may have; the cause of an execution has at most 32,768
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}
_DETAILS = {
    "ExecutionFailed": "executionFailedEventDetails",
    "ExecutionTimedOut": "executionTimedOutEventDetails",
    "ExecutionAborted": "executionAbortedEventDetails",
}
_CONSISTENCY_SECONDS = (1, 2, 4, 8)  # delays before the history is read again: it is eventually consistent


# The same patterns as in chat_notice.py: a function imports no other module of this project.
_SECRETS = (
    (re.compile(r"(?<=://)[^/\s?#@\"']{1,200}@"), "[redacted]@"),
    (re.compile(r"https://hooks\.slack[^\s\"'<>]*|https://[^\s\"'<>]{1,500}[?&]sig=[^\s\"'<>]*"), "[webhook]"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\beyJ[\w-]{5,500}\.[\w.-]+|(?<=Bearer\s)[\w.~+/=-]{6,}"), "[key]"),
    (
        re.compile(
            r"(?i)\b(\w{0,60}(?:password|passwd|secret|token)(?:\\?[\"'])?\s{0,9}[=:]\s{0,9}(?:\\?[\"'])?)"
            r"[^\s,;&}\"'\\][^,;&}\"'\\\n]*"
        ),
        r"\1[redacted]",
    ),
)
_PERSONAL = (
    (re.compile(r"\s{0,9}(?:\b(?:DETAIL|CONTEXT|HINT|QUERY):\s|\[parameters: ).*", re.DOTALL), ""),
    (re.compile(r"(?<![\w.!#$%&'*+/=?^`{|}~-])(?:[\w.!#$%&'*+/=?^`{|}~-]+@(?:[\w-]+\.)+[\w-]{2,})+"), "[e-mail]"),
    (
        re.compile(
            r"(?i)\b(\w{0,60}(?:ssn|fein|tax_?id\w{0,60}|(?:first|last|full)_?name)(?:\\?[\"'])?"
            r"\s{0,9}[=:]\s{0,9}(?:\\?[\"'])?)[^\s,;&}\"'\\][^,;&}\"'\\\n]*"
        ),
        r"\1[redacted]",
    ),
    (
        re.compile(
            r"(\barn:[\w-]+:[\w-]*:[\w-]*:\d{12}\b|\b\d{12}(?=\.dkr\.ecr\.))"
            r"|(?<![\w.-])(?:\d{9,}|\d{3}([-. /])\d{2}\2\d{4}|\d{2}-\d{7}|(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4})"
            r"(?![\w-])"
        ),
        lambda found: found[1] or "*********",
    ),
)


class NotFromAws(Exception):
    """Another server than AWS responded, such as a proxy."""


class UnknownEvent(Exception):
    """The event is not a status change of a workflow's execution."""


def handler(
    event: dict[str, Any], _context: object, *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, str | None]:
    """Publish the notice of the event, and return the message ID."""
    detail = event.get("detail") if isinstance(event, dict) else None
    machine, execution, status = (_get_text(detail, name) for name in ("stateMachineArn", "executionArn", "status"))
    if execution.count(":") < 7:
        raise UnknownEvent(f"{execution!r} is not the ARN of an execution.")
    notice = _read_notices().get(machine)
    if notice is None:
        raise UnknownEvent(f"State machine {machine} has no notice. Deploy the environment again.")
    error, cause, step = _get_optional_text(detail, "error"), _get_optional_text(detail, "cause"), None
    try:
        last = _read_end(execution, sleep)
        if last is not None:
            error, cause = last.get("error"), last.get("cause")
        step = find_failed_step(_read_events(execution))
    except (ClientError, BotoCoreError, NotFromAws) as problem:
        _log("history not read", execution=execution, reason=str(problem))
    if was_replaced(status, cause):
        _log("replaced", execution=execution, cause=cause)
        return {"message_id": None}
    subject = notice["subject"][:_MAX_SUBJECT_CHARACTERS]
    if notice["message"]:
        content = {"Message": notice["message"]}
    else:
        failure = _describe(notice, execution, status, step, error, cause)
        texts = {"default": json.dumps(failure, ensure_ascii=False), "email": _format_e_mail(failure)}
        content = {"Message": json.dumps(texts, ensure_ascii=False), "MessageStructure": "json"}
    response = _get_client("sns").publish(TopicArn=notice["topic"], Subject=subject, **content)
    _log("published", execution=execution, topic=notice["topic"], message_id=response.get("MessageId"))
    return {"message_id": response.get("MessageId")}


def was_replaced(status: str, cause: str | None) -> bool:
    """Return True if an execution was stopped because of its workflow's overlap policy."""
    return status == "ABORTED" and (cause or "").startswith(_REPLACED)


def _describe(
    notice: dict[str, Any], execution: str, status: str, step: str | None, error: str | None, cause: str | None
) -> dict[str, str | None]:
    command = f"nightferry status {execution.rpartition(':')[2]} --env {notice['environment']}"
    return {
        "workflow": notice["workflow"],
        "environment": notice["environment"],
        "execution": execution,
        "status": status,
        "step": step,
        "error": None if error is None else mask(error),
        "cause": None if cause is None else mask(explain_cause(cause)),
        "command": command,
        "link": _make_link(execution),
    }


def _format_e_mail(failure: dict[str, str | None]) -> str:
    status = str(failure["status"]).lower().replace("_", " ")
    lines = [f"Workflow {failure['workflow']} {status} in environment {failure['environment']}.", ""]
    lines += [f"{key.capitalize()}: {failure[key]}" for key in ("step", "error", "cause") if failure[key]]
    links = [f"{label}: {failure[key]}" for label, key in (("Details", "command"), ("Console", "link")) if failure[key]]
    return "\n".join([*lines, "", *links])


def explain_cause(cause: str) -> str:
    """Return a cause in plain words: of a task that failed, Step Functions' cause is ECS's description of the task.

    :func:`nightferry.backend.states.causes.explain_cause` is its twin.
    """
    try:
        task = json.loads(cause)
        containers = task["Containers"]
        failed = next((one for one in containers if one.get("ExitCode") != 0), containers[0])
        code, family = failed.get("ExitCode"), str(task.get("Group") or "").partition(":")[2]
        reasons = [str(reason).rstrip(".") for reason in (failed.get("Reason"), task.get("StoppedReason")) if reason]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return cause
    if code is not None:
        end = f"ended with exit code {code}"
        reasons = [reason for reason in reasons if reason != "Essential container in task exited"]
    else:
        end = "was stopped" if task.get("StartedAt") else "did not start"
    return f"Task {family or '(unknown)'} {end}" + "".join(f": {'. '.join(reasons)}" for _ in reasons[:1]) + "."


def _make_link(execution: str) -> str | None:
    """Return the console's page of an execution, or None in a partition whose console is not known."""
    _, partition, _, region, *_ = execution.split(":")
    domain = _CONSOLES.get(partition)
    return domain and f"https://{region}.{domain}/states/home?region={region}#/v2/executions/details/{execution}"


def mask(text: str) -> str:
    """Return the first part of ``text``, printable, without the secrets that patterns recognize.

    Personal data is masked too, unless the variable PRIVACY has the catalog's policy ``secrets-only``.
    """
    if len(text) > _MAX_MASKED:
        text = " ".join([*text[:_MAX_MASKED].rsplit(maxsplit=1)[:1], "…"])  # no part of a number or address
    strict = os.environ.get("PRIVACY") != "secrets-only"
    for pattern, replacement in (*_SECRETS, *(_PERSONAL if strict else ())):
        text = pattern.sub(replacement, text)
    return "".join(one if one.isprintable() or one in "\n\t" else f"\\u{ord(one):04x}" for one in text)


def find_failed_step(newest_first: Iterable[dict[str, Any]]) -> str | None:
    """Return the innermost state that failed, from the events of a history, newest first.

    A failure's events lead back, each to its previous event, to the state that failed. An execution that was stopped
    or timed out has no such chain: its step is the last state that was entered and not left.
    """
    expected: int | None = None  # the next event of the chain; None before the last event, 0 after the chain
    exited: Counter[str] = Counter()
    unfinished: str | None = None
    for event in newest_first:
        kind = event["type"]
        entered = (event.get("stateEnteredEventDetails") or {}).get("name")
        if kind.endswith("StateExited"):
            exited[(event.get("stateExitedEventDetails") or {}).get("name", "")] += 1
        elif entered is not None:
            if exited[entered]:
                exited[entered] -= 1
            elif unfinished is None:
                unfinished = entered
        if expected is None or event["id"] == expected:
            if evaluated := (event.get("evaluationFailedEventDetails") or {}).get("state"):
                return str(evaluated)
            if entered is not None:
                return str(entered)
            # A state that was left did not fail. Step Functions leaves out a previous event of 0.
            expected = 0 if kind.endswith("StateExited") else int(event.get("previousEventId", 0))
        if not expected and unfinished is not None:
            return unfinished
    return unfinished


def _read_end(execution: str, sleep: Callable[[float], None]) -> dict[str, Any] | None:
    """Return error and cause of the execution's last event, or None if the history does not have its end yet."""
    for seconds in (*_CONSISTENCY_SECONDS, None):
        response = _get_client("stepfunctions").get_execution_history(
            executionArn=execution, reverseOrder=True, maxResults=1
        )
        for event in response.get("events", []):
            if key := _DETAILS.get(event["type"]):
                return event.get(key) or {}
        if seconds is not None:
            sleep(seconds)
    return None


def _read_events(execution: str) -> Iterator[dict[str, Any]]:
    """Yield the events, newest first, without inputs and outputs."""
    pages = (
        _get_client("stepfunctions")
        .get_paginator("get_execution_history")
        .paginate(
            executionArn=execution,
            reverseOrder=True,
            includeExecutionData=False,
            PaginationConfig={"PageSize": 1000},
        )
    )
    for page in pages:
        yield from page.get("events", [])


def _get_optional_text(detail: Any, name: str) -> str | None:
    value = detail.get(name)
    return None if value is None else str(value)


def _get_text(detail: Any, name: str) -> str:
    value = detail.get(name) if isinstance(detail, dict) else None
    if not isinstance(value, str):
        raise UnknownEvent(f"The event is not a status change of an execution: its detail has no {name}.")
    return value


@cache
def _read_notices() -> dict[str, dict[str, Any]]:
    notices: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("notices.json").read_text())
    return notices


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


def _log(decision: str, **fields: str | None) -> None:
    sys.stdout.write(json.dumps({"decision": decision, **fields}) + "\n")
