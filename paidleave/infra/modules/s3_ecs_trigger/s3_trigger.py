"""Start a task or a workflow for each new object in a bucket (AWS Lambda, invoked asynchronously).

The function reads S3's notifications and EventBridge's events "Object Created". It sends the object's name as JSON
values, so that a name with quotation marks or line breaks cannot change a request.

S3 delivers events at least once and in any order, and Lambda repeats a failed invocation. An object version starts one
task nevertheless:

- The client tokens of its starts are a sequence, derived from the trigger, bucket, key, version and sequencer. For a
  token that ECS has already received, it returns the original response, including ``failures`` (ECS API, "Ensuring
  idempotency"). Every invocation therefore starts with the first token, and uses the next token only after a response
  with failures. If no response arrives, the next invocation sends the same token again.
- ECS remembers a token for at least an hour. For an older event, the function first searches the log of task state
  changes for a task of the same object version.

An execution of a workflow has a name derived from the same values. Step Functions rejects a name for 90 days.

A failed start raises an exception, so that Lambda retries the event and then sends it to the dead-letter queue. An
event in an unknown format also raises an exception, so that a change of the format is noticed.
"""

import hashlib
import json
import os
import random
import re
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# Three attempts of 15 s each fit into the function's timeout of 60 s.
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=15)

START_VARIABLE = "NIGHTFERRY_START_ID"  # equals nightferry.contract.START_VARIABLE, which is not available here
_MAX_OVERRIDES_LENGTH = 8192  # characters of all overrides, as JSON (ECS API, RunTask)
# ECS remembers a token for the lesser of 24 hours and the task's lifetime plus one hour (ECS API, "Ensuring
# idempotency"). A start is never earlier than its event, so the tokens of an event are known for at least an hour.
_TOKEN_LIFETIME = timedelta(minutes=55)
_LONGEST_CALL = timedelta(minutes=15)  # Lambda's limit: no older invocation still waits for a response
_RETRY_SECONDS = (1, 2, 4, 8)  # longest delays before a rejected call is repeated with the same token
# Temporary rejections that botocore does not retry: throttling of another service behind ECS, which arrives as
# InvalidParameterException (dagster-io/dagster#33439), and a role that was created a few seconds ago.
_TEMPORARY = re.compile(r"Rate exceeded|Throttling|unable to assume the role", re.IGNORECASE)


class NotFromAws(Exception):
    """Another server than AWS responded, such as a proxy."""


class NotStarted(Exception):
    """AWS responded, but did not start the task."""


class UnknownEvent(Exception):
    """The event is neither an S3 notification nor an EventBridge event in a format that this function supports."""


class RefusedKey(Exception):
    """The object's key cannot be passed to a task."""


@dataclass(frozen=True)
class _Object:
    """A new object version, from an event."""

    bucket: str
    key: str
    version: str
    etag: str
    sequencer: str
    created: datetime

    @property
    def uri(self) -> str:
        """The object's location for ``nightferry.storage``, which does not decode a key."""
        return f"s3://{self.bucket}/{self.key}"

    def token(self, attempt: int) -> str:
        """Return the client token of an attempt: 64 characters, which is ECS's limit."""
        # The trigger's name is part of it, because other triggers of the cluster may match the same object.
        identity = [os.environ["TRIGGER"], self.bucket, self.key, self.version or self.etag, self.sequencer]
        return hashlib.sha256(json.dumps(identity + [attempt] * (attempt > 0)).encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


def handler(
    event: dict[str, Any],
    _context: object,
    *,
    now: Callable[[], datetime] = _now,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, int]:
    """Handle an event, and return the numbers of started targets and ignored records.

    ``nightferry redrive`` adds the member ``redrives``: how often the event was taken from the dead-letter queue.
    """
    if not isinstance(event, dict):
        raise UnknownEvent("The event is not an object.")
    counts = {"started": 0, "ignored": 0}
    if event.get("Event") == "s3:TestEvent":
        _log("ignored", reason="test event")
        return counts
    failures = []
    # Each record is handled before the first failure is raised, because a retry repeats all of them.
    for read in _split(event):
        try:
            item = read()
            if item is not None:
                _check_key(item.key)
                if os.environ.get("STATE_MACHINE"):
                    _start_execution(item)
                else:
                    _start_task(item, int(event.get("redrives", 0)), now, sleep)
            counts["ignored" if item is None else "started"] += 1
        except Exception as error:
            _log("failed", error=type(error).__name__, reason=str(error))
            failures.append(error)
    if failures:
        raise failures[0]
    return counts


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


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _split(event: dict[str, Any]) -> Iterator[Callable[[], _Object | None]]:
    """Return a function for each record of the event. It returns the record's object, or None to ignore the record."""
    if isinstance(event.get("Records"), list):
        return (partial(_read_record, record) for record in event["Records"])
    if event.get("source") == "aws.s3" and "detail-type" in event:
        return iter([partial(_read_event, event)])
    keys = ", ".join(sorted(event)) or "none"
    raise UnknownEvent(f"The event is not from S3: it has neither Records nor the source aws.s3. Its keys: {keys}.")


def _read_record(record: dict[str, Any]) -> _Object | None:
    """Read a record of an S3 notification."""
    # A higher minor version only adds fields to the event (S3's guide, "Event message structure").
    version = _get_text(record, "eventVersion")
    if version.partition(".")[0] != "2":
        raise UnknownEvent(f"The S3 event has version {version!r}; this function supports 2.x.")
    name = _get_text(record, "eventName")
    stored = _get(record, "s3", "object")
    return _make_object(
        name,
        name.startswith("ObjectCreated:"),
        bucket=_get_text(record, "s3", "bucket", "name"),
        key=_decode_key(_get_text(stored, "key")),
        version=stored.get("versionId"),
        etag=stored.get("eTag"),
        sequencer=stored.get("sequencer"),
        created=_get_text(record, "eventTime"),
    )


def _read_event(event: dict[str, Any]) -> _Object | None:
    """Read an EventBridge event. Its key is not encoded (EventBridge's guide, "Event message structure")."""
    stored = _get(event, "detail", "object")
    return _make_object(
        event["detail-type"],
        event["detail-type"] == "Object Created",
        bucket=_get_text(event, "detail", "bucket", "name"),
        key=_get_text(stored, "key"),
        version=stored.get("version-id"),
        etag=stored.get("etag"),
        sequencer=stored.get("sequencer"),
        created=_get_text(event, "time"),
    )


def _make_object(
    name: str,
    is_new: bool,
    *,
    bucket: str,
    key: str,
    version: str | None,
    etag: str | None,
    sequencer: str | None,
    created: str,
) -> _Object | None:
    if not is_new or key.endswith("/"):
        _log("ignored", bucket=bucket, key=key, reason="a folder" if is_new else name)
        return None
    if not version and not sequencer:
        # Without either, a second write of the same content could not be distinguished from a repeated event.
        raise UnknownEvent(f"The event for {bucket}/{key} has neither a version nor a sequencer.")
    try:
        time = datetime.fromisoformat(created)
    except ValueError:
        raise UnknownEvent(f"The event for {bucket}/{key} has the time {created!r}, which is not ISO 8601.") from None
    if time.tzinfo is None:
        raise UnknownEvent(f"The event for {bucket}/{key} has the time {created!r} without a time zone.")
    if not all(isinstance(text, str | None) for text in (version, etag, sequencer)):
        raise UnknownEvent(f"The event for {bucket}/{key} has a version, ETag or sequencer that is not text.")
    return _Object(bucket, key, version or "", etag or "", sequencer or "", time)


def _get(value: Any, *path: str) -> Any:
    """Return a required member of an event."""
    for name in path:
        if not isinstance(value, dict) or name not in value:
            raise UnknownEvent(f"The event has no member {'.'.join(path)}.")
        value = value[name]
    return value


def _get_text(value: Any, *path: str) -> str:
    """Return a required member of an event that is text."""
    text = _get(value, *path)
    if not isinstance(text, str):
        raise UnknownEvent(f"The member {'.'.join(path)} of the event is not text.")
    return text


def _decode_key(text: str) -> str:
    """Decode a key of a notification: S3 form-encodes keys, so a space is a plus and a percent sign is %25."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise UnknownEvent(f"The key {text!r} is not form-encoded, as S3's notifications are.")
    try:
        return urllib.parse.unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise UnknownEvent(f"The key {text!r} is not UTF-8.") from None


def _check_key(key: str) -> None:
    """Raise RefusedKey if a task cannot receive the key. An environment variable is UTF-8 without null characters."""
    try:
        key.encode()
    except UnicodeEncodeError:
        raise RefusedKey(f"The key {key!r} is not valid Unicode. Rename the object.") from None
    if "\0" in key:
        raise RefusedKey(f"The key {key!r} contains a null character. Rename the object.")


# ── starts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _start_execution(item: _Object) -> None:
    """Start the workflow. Its execution's name makes the start idempotent."""
    input = {"bucket": item.bucket, "key": item.key, "version": item.version, "uri": item.uri}
    name = item.token(0)
    try:
        client = _get_client("stepfunctions")
        client.start_execution(stateMachineArn=os.environ["STATE_MACHINE"], name=name, input=json.dumps(input))
        _log("started", **input, execution=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        _log("started before", **input, execution=name)


def _start_task(item: _Object, redrives: int, now: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
    """Start the task with the first token for which ECS does not return failures."""
    found = {"bucket": item.bucket, "key": item.key, "version": item.version}
    request = _build_request(item)
    age = now() - item.created
    if age > _TOKEN_LIFETIME and (task := _find_task(item)):
        _log("started before", **found, task=task)
        return
    attempts = _count_attempts(age, redrives)
    reasons: list[str] = []
    for attempt in range(attempts):
        # Most of the earlier responses are repetitions of known failures, which do not need a delay.
        if attempt > attempts - 3:
            _pause(2, sleep)
        try:
            response = _run_task({**request, "clientToken": item.token(attempt)}, sleep)
        except ClientError as error:
            # A request with other parameters has used the token, for example before a deployment changed the network.
            if error.response["Error"]["Code"] != "ConflictException":
                raise
            conflict: Any = error.response
            if conflict.get("resourceIds"):
                _log("started before", **found, task=", ".join(conflict["resourceIds"]))
                return
            if age < _LONGEST_CALL:
                raise  # the other request may still be in progress
            reasons = ["an earlier call with other parameters started no task"]
            continue
        if tasks := response.get("tasks"):
            _log("started", **found, task=tasks[0].get("taskArn"))
            return
        reasons = [failure.get("reason", "no reason given") for failure in response.get("failures") or []]
        if not reasons:
            break  # not a response of ECS, so the next token must not be used
    raise NotStarted(
        f"ECS did not start {os.environ['TASK_DEFINITION']}: {', '.join(reasons) or 'no task and no failure returned'}"
    )


def _count_attempts(age: timedelta, redrives: int) -> int:
    """Return how many tokens this invocation may use.

    Earlier invocations have used the first ones, and an invocation cannot distinguish their responses from new ones.
    The number therefore grows with the event's age (Lambda repeats the event after one minute and two more minutes),
    and with each redrive.
    """
    minutes = max(0, int(age / timedelta(minutes=1)))
    return 3 + min(minutes, 9) + 3 * min(redrives, 50)


def _run_task(request: dict[str, Any], sleep: Callable[[float], None]) -> dict[str, Any]:
    """Call RunTask. Repeat a call that was rejected for a temporary reason."""
    client = _get_client("ecs")
    for seconds in (*_RETRY_SECONDS, None):
        try:
            response: dict[str, Any] = client.run_task(**request)
            return response
        except ClientError as error:
            if seconds is None or not _TEMPORARY.search(error.response["Error"].get("Message", "")):
                raise
            _log("retrying", reason=str(error))
            _pause(seconds, sleep)
    raise AssertionError("the last attempt returns or raises")


def _pause(seconds: float, sleep: Callable[[float], None]) -> None:
    # A random delay, so that functions that were started together do not repeat their calls together.
    sleep(random.uniform(seconds / 2, seconds))  # noqa: S311  # no secret


def _find_task(item: _Object) -> str | None:
    """Return the ARN of the task that was started for this object version, from the log of task state changes."""
    start = item.token(0)
    client = _get_client("logs")
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=os.environ["EVENT_LOG_GROUP"],
        startTime=int(item.created.timestamp() * 1000),
        filterPattern=f'"{start}"',
    )
    for page in pages:
        for event in page.get("events", []):
            if start in event.get("message", ""):
                task: str = json.loads(event["message"])["detail"]["taskArn"]
                return task
    return None


def _build_request(item: _Object) -> dict[str, Any]:
    trigger = os.environ["TRIGGER"]
    variables = {
        "S3_BUCKET": item.bucket,
        "S3_KEY": item.key,
        "S3_VERSION": item.version,
        "S3_URI": item.uri,
        START_VARIABLE: item.token(0),
    }
    overrides = _build_overrides(variables)
    # Only a long key with hundreds of control characters does not fit twice.
    needs_uri = os.environ.get("READS_URI") == "true"
    if len(json.dumps(overrides)) > _MAX_OVERRIDES_LENGTH and not needs_uri:
        overrides = _build_overrides({name: value for name, value in variables.items() if name != "S3_URI"})
    length = len(json.dumps(overrides))
    if length > _MAX_OVERRIDES_LENGTH:
        raise RefusedKey(
            f"The key {item.key[:80]!r}... needs {length:,} characters of overrides; ECS allows "
            f"{_MAX_OVERRIDES_LENGTH:,}. Give the object a shorter key, or one without control characters."
        )
    return {
        "cluster": os.environ["CLUSTER"],
        "taskDefinition": os.environ["TASK_DEFINITION"],
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "startedBy": f"trigger/{trigger}"[:36],
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": os.environ["SUBNETS"].split(","),
                "securityGroups": os.environ["SECURITY_GROUPS"].split(","),
                "assignPublicIp": "DISABLED",
            }
        },
        "overrides": overrides,
    }


def _build_overrides(variables: dict[str, str]) -> dict[str, Any]:
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    return {"containerOverrides": [{"name": os.environ["CONTAINER"], "environment": environment}]}


def _log(decision: str, **fields: str | None) -> None:
    sys.stdout.write(json.dumps({"decision": decision, "trigger": os.environ.get("TRIGGER"), **fields}) + "\n")
