"""FilterLogEvents with ``startFromHead: false``, which moto does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ALL = 10**9


def list_newest(group: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response of FilterLogEvents for moto's log group: a page of events, newest first."""
    events, _, _ = group.filter_log_events(
        log_group_name=request["logGroupName"],
        log_stream_names=request.get("logStreamNames", []),
        start_time=request.get("startTime", 0),
        end_time=request.get("endTime", 0),
        limit=_ALL,
        next_token=None,
        filter_pattern=request.get("filterPattern", ""),
        interleaved=True,
    )
    first = int(request.get("nextToken", 0))
    last = first + int(request.get("limit", 10_000))
    page = {"events": events[::-1][first:last]}
    return page | ({"nextToken": str(last)} if last < len(events) else {})
