"""Requests and responses of AWS's JSON protocol over WSGI."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any


def read_member(body: bytes, key: str) -> str:
    """Return a member of a request's JSON as text, or an empty text."""
    return str(json.loads(body).get(key, ""))


def read_name(body: bytes, key: str) -> str:
    """Return the name at the end of an ARN in a request's JSON."""
    return read_member(body, key).rpartition(":")[2]


def send_json(start_response: Any, response: Any) -> Iterable[bytes]:
    """Send a value as JSON."""
    return send(start_response, json.dumps(response).encode())


def send(start_response: Any, response: bytes, status: str = "200 OK") -> Iterable[bytes]:
    """Send the body of a response with the headers of AWS."""
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(response)))]
    start_response(status, [*headers, ("x-amzn-RequestId", str(uuid.uuid4()))])
    return [response]


def send_error(start_response: Any, status: int, code: str, message: str) -> Iterable[bytes]:
    """Send an error as AWS's JSON protocol does."""
    response = json.dumps({"__type": code, "message": message or code}).encode()
    return send(start_response, response, f"{status} Error")


def page_history(events: Sequence[Any], body: bytes) -> dict[str, Any]:
    """Return the page of events for a request of GetExecutionHistory. Its default is 100 events a page."""
    request = json.loads(body)
    ordered = events[::-1] if request.get("reverseOrder") else events
    start = int(request.get("nextToken") or 0)
    end = start + int(request.get("maxResults") or 100)
    following = {"nextToken": str(end)} if end < len(ordered) else {}
    return {"events": list(ordered[start:end]), **following}
