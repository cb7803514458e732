"""Forward log events to New Relic (AWS Lambda, invoked by a subscription of CloudWatch Logs).

::

    base64, gzip ─► events ─► entries ─► batches of at most 10^6 compressed bytes ─► New Relic's Log API

At least once: what could not be delivered within the invocation's time makes it fail, so that Lambda tries the event
again and then keeps it in its dead-letter queue. A repeated event has the same ``aws.logEventId``.

===========================  =====================================================================================
``LICENSE_KEY_PARAMETER``    the parameter that holds the licence key; its first letters choose the region's host
``LOG_API_URL``              the whole address in place of that host's (FedRAMP: https://gov-log-api.newrelic.com/log/v1)
===========================  =====================================================================================

The limits are those of New Relic's page "Send your logging data with our Log API".
"""

import base64
import email.utils
import gzip
import hashlib
import http.client
import json
import math
import os
import random
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

BATCH_BYTES = 1_000_000  # compressed
VALUE_BYTES = 128_000  # New Relic drops what is longer
NAME_CHARACTERS = 255
ATTRIBUTES = 240  # of 255; the rest is for ours and for those that New Relic adds
NESTING = 5
OLDEST_SECONDS = 47 * 3600  # New Relic drops what is older than 48 hours
MARGIN_SECONDS = 2.0  # to fail with a message before Lambda ends the invocation

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=10)
_HOSTS = {"eu": "log-api.eu.newrelic.com", "jp": "log-api.jp.newrelic.com"}
_RESERVED = {"accountId", "appId", "eventType", "message", "messageId", "timestamp", "cut", "more", "original_time"}
_RESERVED_PREFIXES = ("newrelic.", "aws.log")
_INTEGERS = range(-(2**63), 2**63)

Entry = dict[str, Any]


class NotDelivered(Exception):
    """New Relic did not take some of the events; the message says why, and never quotes an event."""


class NotAPayload(Exception):
    """What arrived is no payload of a subscription in a form that this function knows."""


@dataclass(frozen=True)
class RetryBudget:
    """Seconds: the first wait before another try (each further one twice as long), the longest, and for a request."""

    first_wait: float = 1.0
    longest_wait: float = 30.0
    request: float = 10.0


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Handle one payload; returns how many events it held and how many requests delivered them."""
    return forward(event, context.get_remaining_time_in_millis() / 1000, RetryBudget())


def forward(event: dict[str, Any], remaining: float, patience: RetryBudget) -> dict[str, int]:
    """Deliver the events of one payload within ``remaining`` seconds. Raises NotDelivered."""
    deadline = time.monotonic() + remaining - MARGIN_SECONDS
    payload = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    if payload["messageType"] == "CONTROL_MESSAGE":  # CloudWatch tries whether the function can be reached
        return {"events": 0, "requests": 0}
    if payload["messageType"] != "DATA_MESSAGE":
        raise NotAPayload(f"A subscription's payload of type {payload['messageType']!r} is not known here.")
    entries = [_entry(payload, log_event) for log_event in payload["logEvents"]]
    requests, problems = 0, []
    # A batch that is refused keeps none of the others; a repetition repeats all of them.
    for batch, body in _batches(entries):
        try:
            requests += _deliver(batch, body, deadline, patience)
        except NotDelivered as problem:
            problems.append(str(problem))
    if problems:
        _log("not delivered", group=payload["logGroup"], events=len(entries), problems=sorted(set(problems)))
        raise NotDelivered(problems[0])
    return {"events": len(entries), "requests": requests}


# ── entries ───────────────────────────────────────────────────────────────────────────────────────────────────


def _entry(payload: dict[str, Any], event: dict[str, Any]) -> Entry:
    """A log event as New Relic's API takes it: the fields of a JSON line become attributes."""
    message, fields = _line(event["message"])
    attributes: dict[str, Any] = {
        "aws.logGroup": payload["logGroup"],
        "aws.logStream": payload["logStream"],
        "aws.logEventId": event["id"],
    }
    cut: list[str] = []
    for name, value in fields[:ATTRIBUTES]:
        attributes[_name(name, attributes)] = _value(name, value, cut)
    if more := fields[ATTRIBUTES:]:
        attributes["more"] = _value("more", json.dumps(dict(more)), cut)
    entry = {
        "timestamp": event["timestamp"],
        "message": _value("message", message, cut),
        "attributes": attributes,
    }
    if cut:
        attributes["cut"] = _value("cut", ", ".join(cut), [])
    now = time.time()
    if event["timestamp"] / 1000 < now - OLDEST_SECONDS:
        attributes["original_time"] = datetime.fromtimestamp(event["timestamp"] / 1000, UTC).isoformat()
        entry["timestamp"] = int(now * 1000)
    return entry


def _line(text: str) -> tuple[str, list[tuple[str, Any]]]:
    """The message of a line and its fields; a line that is no JSON object is all message."""
    try:
        fields = json.loads(text, parse_constant=str)
        if not isinstance(fields, dict):
            return text, []
        message = fields.pop("message") if isinstance(fields.get("message"), str) else text
        return message, list(_flat(fields))
    except (ValueError, RecursionError):
        return text, []


def _flat(fields: dict[str, Any], before: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    """``{"a": {"b": 1}}`` → ``a.b``, 1. What is deeper stays JSON; nulls are left out, as New Relic would."""
    for key, value in fields.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and value and depth < NESTING:
            yield from _flat(value, f"{name}.", depth + 1)
        elif isinstance(value, dict | list):
            yield name, json.dumps(value)
        elif value is not None:
            yield name, value


def _name(name: str, taken: dict[str, Any]) -> str:
    name = _text(name) or "_"
    if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
        name = f"_{name}"
    if len(name) > NAME_CHARACTERS:
        name = f"{name[: NAME_CHARACTERS - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: NAME_CHARACTERS - 9]}_{number}"
    return free


def _value(name: str, value: Any, cut: list[str]) -> Any:
    """A text, number or truth value that New Relic takes; the name of a text that is too long joins ``cut``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and value in _INTEGERS:
        return value
    text = _text(str(value))
    data = text.encode()
    if len(data) <= VALUE_BYTES:
        return text
    cut.append(_text(name))
    return data[:VALUE_BYTES].decode(errors="ignore")


def _text(text: str) -> str:
    """``text`` without halves of surrogate pairs, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()


# ── batches ───────────────────────────────────────────────────────────────────────────────────────────────────


def _batches(entries: list[Entry]) -> Iterator[tuple[list[Entry], bytes]]:
    """The entries in as few requests as the limit allows, each with its body."""
    if not entries:
        return
    body = _body(entries)
    if len(body) <= BATCH_BYTES:
        yield entries, body
    else:
        for half in _halves(entries):
            yield from _batches(half)


def _halves(entries: list[Entry]) -> list[list[Entry]]:
    """Two halves; of one entry, what fits into any request: its identity and the beginning of its message."""
    if len(entries) > 1:
        middle = len(entries) // 2
        return [entries[:middle], entries[middle:]]
    (entry,) = entries
    kept = {name: value for name, value in entry["attributes"].items() if name.startswith(("aws.log", "original_time"))}
    kept["cut"] = "all but the beginning of the message"
    return [[{**entry, "message": entry["message"][:1000], "attributes": kept}]]


def _body(entries: list[Entry]) -> bytes:
    # Without a time in the archive, the same events give the same bytes.
    return gzip.compress(json.dumps([{"logs": entries}], allow_nan=False).encode(), compresslevel=6, mtime=0)


# ── delivery ──────────────────────────────────────────────────────────────────────────────────────────────────


def _deliver(entries: list[Entry], body: bytes, deadline: float, patience: RetryBudget) -> int:
    """Deliver one batch, in halves if New Relic finds it too large; returns the number of requests that did it."""
    wait = patience.first_wait
    key_read_again = False
    while True:
        status, retry_after, problem = _post(body, deadline, patience)
        if status is not None and 200 <= status < 300:
            return 1
        if status == 413:
            halves = _halves(entries)
            if halves == [entries]:
                raise NotDelivered("New Relic finds a single event too large (413).")
            return sum(_deliver(half, _body(half), deadline, patience) for half in halves)
        if status in (401, 403) and not key_read_again:
            # The key may have been changed since it was read.
            _license_key.cache_clear()
            key_read_again = True
            continue
        if status is not None and status not in (408, 429) and status < 500:
            hint = f" Check the licence key in {os.environ['LICENSE_KEY_PARAMETER']}." if status in (401, 403) else ""
            raise NotDelivered(f"New Relic refused a batch: {problem}.{hint}")
        pause = retry_after if retry_after is not None else wait * random.uniform(0.5, 1)  # noqa: S311  (no secret)
        if time.monotonic() + pause >= deadline:
            raise NotDelivered(f"New Relic did not take a batch in the time that there was: {problem}.")
        time.sleep(pause)
        wait = min(2 * wait, patience.longest_wait)


def _post(body: bytes, deadline: float, patience: RetryBudget) -> tuple[int | None, float | None, str]:
    """One request: its status (None without an answer), the seconds of Retry-After, and what to say of it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise NotDelivered("There was no time left to deliver a batch.")
    key = _license_key()
    url = urllib.parse.urlsplit(os.environ.get("LOG_API_URL") or address(key))
    kind = http.client.HTTPConnection if url.scheme == "http" else http.client.HTTPSConnection
    connection = kind(url.netloc, timeout=min(patience.request, left))
    headers = {"Api-Key": key, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    try:
        connection.request("POST", url.path, body, headers)
        answer = connection.getresponse()
        return answer.status, _seconds(answer.getheader("Retry-After")), f"status {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        return None, None, f"no answer ({type(error).__name__})"
    finally:
        connection.close()


def address(key: str) -> str:
    """The Log API of the region that a licence key belongs to."""
    return f"https://{_HOSTS.get(key[:2], 'log-api.newrelic.com')}/log/v1"


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After's seconds, or those until its date (RFC 9110, 10.2.3); None if there is none that can be read."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


@cache
def _license_key() -> str:
    name = os.environ["LICENSE_KEY_PARAMETER"]
    ssm_client = boto3.client("ssm", config=_CONFIG)
    key = str(ssm_client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]).strip()
    if not (key.isascii() and key.isalnum()):  # as a header it would be refused with an error that quotes it
        raise NotDelivered(f"Parameter {name} holds no licence key: a key has letters and digits only.")
    return key


def _log(decision: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"decision": decision, **fields}) + "\n")
