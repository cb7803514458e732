"""Forward log events to New Relic (AWS Lambda, invoked by a CloudWatch Logs subscription).

::

    base64, gzip ─► events ─► entries ─► batches of at most 10^6 compressed bytes ─► New Relic's Log API

Delivery is at least once. The invocation fails if it cannot deliver all events in its time, so that Lambda retries it
and then sends it to the dead-letter queue. A repeated event has the same ``aws.logEventId``.

===========================  =====================================================================================
``LICENSE_KEY_PARAMETER``    the parameter of the license key, whose first letters determine the region's host
``LOG_API_URL``              the full URL, instead of that host's (FedRAMP: https://gov-log-api.newrelic.com/log/v1)
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
import re
import sys
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

MAX_BATCH_BYTES = 1_000_000  # compressed
MAX_VALUE_BYTES = 128_000  # New Relic drops longer values
MAX_NAME_CHARACTERS = 255
MAX_ATTRIBUTES = 240  # of 255; the others are left for the attributes that this function and New Relic add
MAX_DEPTH = 5
MAX_AGE_SECONDS = 47 * 3600  # New Relic drops events older than 48 hours
MAX_PAYLOAD_BYTES = 32 * 1024 * 1024  # uncompressed; CloudWatch Logs sends at most a few megabytes
MARGIN_SECONDS = 2.0  # to fail with a message before Lambda stops the invocation

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=10)
_HOSTS = {"eu": "log-api.eu.newrelic.com", "jp": "log-api.jp.newrelic.com"}
_RESERVED = {"accountId", "appId", "eventType", "message", "messageId", "timestamp", "cut", "more", "original_time"}
_RESERVED_PREFIXES = ("newrelic.", "aws.log")
_INTEGERS = range(-(2**63), 2**63)

Entry = dict[str, Any]

# The errors of reading a JSON document in another form than expected.
_UNREADABLE = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError, zlib.error)


class NotFromAws(Exception):
    """Another server than AWS responded, such as a proxy."""


class DeliveryFailed(Exception):
    """New Relic did not accept some of the events. The message gives the reason and never quotes an event."""


class UnknownPayload(Exception):
    """The event is not the payload of a subscription in a format that this function supports."""


@dataclass(frozen=True)
class RetryPolicy:
    """Seconds before the first retry (doubled for each further one), at most between retries, and per request."""

    first_wait: float = 1.0
    longest_wait: float = 30.0
    request: float = 10.0


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Handle a payload and return the number of its events and the number of successful requests."""
    return forward(event, context.get_remaining_time_in_millis() / 1000, RetryPolicy())


def forward(event: dict[str, Any], remaining: float, retry: RetryPolicy) -> dict[str, int]:
    """Deliver the events of a payload within ``remaining`` seconds.

    Raises:
        DeliveryFailed: Some events were not delivered.
        UnknownPayload: The payload has an unknown type.
    """
    deadline = time.monotonic() + remaining - MARGIN_SECONDS
    try:
        payload = json.loads(_decompress(base64.b64decode(event["awslogs"]["data"])))
        if payload["messageType"] == "CONTROL_MESSAGE":  # CloudWatch Logs checks that the function can be invoked
            return {"events": 0, "requests": 0}
        if payload["messageType"] != "DATA_MESSAGE":
            raise UnknownPayload(f"The payload has the unknown type {payload['messageType']!r}; expected DATA_MESSAGE.")
        entries = [_build_entry(payload, log_event) for log_event in payload["logEvents"]]
    except _UNREADABLE as error:
        problem = f"The payload does not have the form of CloudWatch Logs ({type(error).__name__})."
        raise UnknownPayload(problem) from error
    requests, problems = 0, []
    # All batches are sent even if one is rejected, because a retry repeats all of them.
    for batch, body in _split_into_batches(entries):
        try:
            requests += _deliver(batch, body, deadline, retry)
        except DeliveryFailed as problem:
            problems.append(str(problem))
    if problems:
        _log("not delivered", group=payload["logGroup"], events=len(entries), problems=sorted(set(problems)))
        raise DeliveryFailed(problems[0])
    return {"events": len(entries), "requests": requests}


# ── entries ───────────────────────────────────────────────────────────────────────────────────────────────────


def _decompress(data: bytes) -> bytes:
    """Return the content of a gzip file, which CloudWatch Logs limits; more would exceed the function's memory."""
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    content = decompressor.decompress(data, MAX_PAYLOAD_BYTES)
    if not decompressor.eof:
        raise ValueError("it is truncated or too large")
    return content


def _build_entry(payload: dict[str, Any], event: dict[str, Any]) -> Entry:
    """Return a log event in the format of New Relic's API, with the fields of a JSON line as attributes."""
    message, fields = _parse_line(event["message"])
    timestamp = int(event["timestamp"])
    attributes: dict[str, Any] = {
        "aws.logGroup": payload["logGroup"],
        "aws.logStream": payload["logStream"],
        "aws.logEventId": event["id"],
    }
    cut: list[str] = []
    for name, value in fields[:MAX_ATTRIBUTES]:
        attributes[_make_attribute_name(name, attributes)] = _make_attribute_value(name, value, cut)
    if more := fields[MAX_ATTRIBUTES:]:
        attributes["more"] = _make_attribute_value("more", json.dumps(dict(more)), cut)
    entry = {
        "timestamp": timestamp,
        "message": _make_attribute_value("message", message, cut),
        "attributes": attributes,
    }
    if cut:
        attributes["cut"] = _make_attribute_value("cut", ", ".join(cut), [])
    now = time.time()
    if timestamp / 1000 < now - MAX_AGE_SECONDS:
        attributes["original_time"] = datetime.fromtimestamp(timestamp / 1000, UTC).isoformat()
        entry["timestamp"] = int(now * 1000)
    return entry


def _parse_line(text: str) -> tuple[str, list[tuple[str, Any]]]:
    """Return the message and the fields of a line; a line that is not a JSON object is the message itself."""
    try:
        fields = json.loads(text, parse_constant=str)
        if not isinstance(fields, dict):
            return text, []
        message = fields.pop("message") if isinstance(fields.get("message"), str) else text
        return message, list(_flatten(fields))
    except (ValueError, RecursionError):
        return text, []


def _flatten(fields: dict[str, Any], before: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield ``a.b``, 1 for ``{"a": {"b": 1}}``; deeper levels remain JSON, and nulls are omitted as in New Relic."""
    for key, value in fields.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and value and depth < MAX_DEPTH:
            yield from _flatten(value, f"{name}.", depth + 1)
        elif isinstance(value, dict | list):
            yield name, json.dumps(value)
        elif value is not None:
            yield name, value


def _make_attribute_name(name: str, taken: dict[str, Any]) -> str:
    name = _remove_surrogates(name) or "_"
    if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
        name = f"_{name}"
    if len(name) > MAX_NAME_CHARACTERS:
        name = f"{name[: MAX_NAME_CHARACTERS - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: MAX_NAME_CHARACTERS - 9]}_{number}"
    return free


def _make_attribute_value(name: str, value: Any, cut: list[str]) -> Any:
    """Return a text, number or Boolean that New Relic accepts; add the name to ``cut`` if the text is truncated."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and value in _INTEGERS:
        return value
    text = _remove_surrogates(str(value))
    data = text.encode()
    if len(data) <= MAX_VALUE_BYTES:
        return text
    cut.append(_remove_surrogates(name))
    return data[:MAX_VALUE_BYTES].decode(errors="ignore")


def _remove_surrogates(text: str) -> str:
    """Return ``text`` without lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()


# ── batches ───────────────────────────────────────────────────────────────────────────────────────────────────


def _split_into_batches(entries: list[Entry]) -> Iterator[tuple[list[Entry], bytes]]:
    """Yield the entries in as few batches as the limit allows, each with its body."""
    if not entries:
        return
    body = _encode_body(entries)
    if len(body) <= MAX_BATCH_BYTES:
        yield entries, body
    else:
        for half in _split_in_half(entries):
            yield from _split_into_batches(half)


def _split_in_half(entries: list[Entry]) -> list[list[Entry]]:
    """Return two halves, or for a single entry its identity and the start of its message, which fit any request."""
    if len(entries) > 1:
        middle = len(entries) // 2
        return [entries[:middle], entries[middle:]]
    (entry,) = entries
    kept = {name: value for name, value in entry["attributes"].items() if name.startswith(("aws.log", "original_time"))}
    kept["cut"] = "all but the beginning of the message"
    return [[{**entry, "message": entry["message"][:1000], "attributes": kept}]]


def _encode_body(entries: list[Entry]) -> bytes:
    # Without a modification time, the same events produce the same bytes.
    return gzip.compress(json.dumps([{"logs": entries}], allow_nan=False).encode(), compresslevel=6, mtime=0)


# ── delivery ──────────────────────────────────────────────────────────────────────────────────────────────────


def _deliver(entries: list[Entry], body: bytes, deadline: float, retry: RetryPolicy) -> int:
    """Deliver a batch, in halves if New Relic reports that it is too large; return the number of requests."""
    wait = retry.first_wait
    key_reloaded = False
    while True:
        status, retry_after, problem = _post(body, deadline, retry)
        if status == 202:
            return 1
        if status == 413:
            halves = _split_in_half(entries)
            if halves == [entries]:
                raise DeliveryFailed("New Relic rejected a single event as too large (status 413).")
            return sum(_deliver(half, _encode_body(half), deadline, retry) for half in halves)
        if status in (401, 403) and not key_reloaded:
            # The key may have been rotated since it was read.
            _read_license_key.cache_clear()
            key_reloaded = True
            continue
        if status is not None and 200 <= status < 300:
            raise DeliveryFailed(
                f"The response is not from New Relic, which accepts a batch with status 202: {problem}."
            )
        if status is not None and status not in (408, 429) and status < 500:
            hint = f" Check the license key in {os.environ['LICENSE_KEY_PARAMETER']}." if status in (401, 403) else ""
            raise DeliveryFailed(f"New Relic rejected a batch: {problem}.{hint}")
        pause = retry_after if retry_after is not None else wait * random.uniform(0.5, 1)  # noqa: S311  # not a secret
        if time.monotonic() + pause >= deadline:
            raise DeliveryFailed(f"New Relic did not accept a batch in the remaining time: {problem}.")
        time.sleep(pause)
        wait = min(2 * wait, retry.longest_wait)


def _post(body: bytes, deadline: float, retry: RetryPolicy) -> tuple[int | None, float | None, str]:
    """Send a request; return its status (None without a response), the seconds of Retry-After, and a description."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeliveryFailed("No time was left to deliver a batch.")
    key = _read_license_key()
    url = urllib.parse.urlsplit(os.environ.get("LOG_API_URL") or log_api_url(key))
    connection_type = http.client.HTTPConnection if url.scheme == "http" else http.client.HTTPSConnection
    connection = connection_type(url.netloc, timeout=min(retry.request, left))
    headers = {"Api-Key": key, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    try:
        connection.request("POST", url.path, body, headers)
        response = connection.getresponse()
        return response.status, _parse_retry_after(response.getheader("Retry-After")), f"status {response.status}"
    except (OSError, http.client.HTTPException) as error:
        return None, None, f"no response ({type(error).__name__})"
    finally:
        connection.close()


def log_api_url(key: str) -> str:
    """Return the URL of the Log API in the region of a license key."""
    return f"https://{_HOSTS.get(key[:2], 'log-api.newrelic.com')}/log/v1"


def _parse_retry_after(retry_after: str | None) -> float | None:
    """Return the seconds of Retry-After, or until its date (RFC 9110, 10.2.3); None if missing or invalid."""
    if retry_after is None:
        return None
    if seconds := re.fullmatch(r"\s*([0-9]{1,9})\s*", retry_after):
        return float(seconds[1])  # float itself does not remove all characters that \s matches
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _check_origin(http_response: Any, **_: object) -> None:
    """Raise NotFromAws without a request ID. botocore reads a page with status 200 as an empty response."""
    if not http_response.headers.get("x-amzn-requestid"):
        host, status = urllib.parse.urlsplit(http_response.url).netloc, http_response.status_code
        raise NotFromAws(
            f"The response of {host} (status {status}) is not from AWS, because it has no request ID. Check the "
            "function's route to AWS: proxy, firewall, endpoint."
        )


@cache
def _read_license_key() -> str:
    name = os.environ["LICENSE_KEY_PARAMETER"]
    ssm_client = boto3.client("ssm", config=_CONFIG)
    ssm_client.meta.events.register("after-call", _check_origin)
    parameter = ssm_client.get_parameter(Name=name, WithDecryption=True).get("Parameter", {})
    key = str(parameter.get("Value", "")).strip()
    # http.client would reject another key with an error that quotes it.
    if not (key.isascii() and key.isalnum()):
        raise DeliveryFailed(f"Parameter {name} does not contain a license key, which has only letters and digits.")
    return key


def _log(decision: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"decision": decision, **fields}) + "\n")
