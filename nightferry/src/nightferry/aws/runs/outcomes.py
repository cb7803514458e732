"""How runs ended, from the group of task state changes: ECS forgets a stopped task within hours, the group keeps it.

Events are told more than once and out of order: of each task the newest ``version`` counts (ECS guide, "Events").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from nightferry.aws.session import Aws, NotThere
from nightferry.clock import Clock
from nightferry.contract import Naming, parse_arn_id

# Looked through one after the other until enough is found: the group is read from its old end only.
_WINDOWS = (timedelta(hours=26), timedelta(days=8), timedelta(days=35), timedelta(days=400))


class Outcomes:
    """The last known states of tasks, newest first."""

    def __init__(self, aws: Aws, naming: Naming, clock: Clock) -> None:
        self._aws = aws
        self._naming = naming
        self._clock = clock

    def of_task(self, task: str | None, limit: int) -> list[Mapping[str, Any]]:
        """The stopped runs of one task or of all; at least ``limit`` of them if there were so many."""
        family = "*" if task is None else self._naming.family(task)
        pattern = f'{{ ($.detail.lastStatus = "STOPPED") && ($.detail.group = "family:{family}") }}'

        def fits(detail: Mapping[str, Any]) -> bool:
            group = str(detail.get("group", ""))
            return detail.get("lastStatus") == "STOPPED" and (task is None or group == f"family:{family}")

        return self._found(pattern, fits, limit)

    def of_id(self, beginning: str) -> list[Mapping[str, Any]]:
        """The runs whose ids begin like this."""
        pattern = f'{{ $.detail.taskArn = "*/{beginning}*" }}'
        return self._found(pattern, lambda detail: _id(detail).startswith(beginning), 1)

    def _found(self, pattern: str, fits: Any, limit: int) -> list[Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for window in _WINDOWS:
            found = {}
            for detail in self._events(pattern, window):
                known = found.get(_id(detail))
                if fits(detail) and (known is None or known.get("version", 0) <= detail.get("version", 0)):
                    found[_id(detail)] = detail
            if len(found) >= limit:
                break
        return sorted(found.values(), key=lambda detail: str(detail.get("createdAt", "")), reverse=True)

    def _events(self, pattern: str, window: timedelta) -> Iterator[Mapping[str, Any]]:
        start = int((self._clock.now() - window).timestamp() * 1000)
        try:
            with self._aws.asking("the changes of tasks' states", missing=("ResourceNotFoundException",)):
                for page in self._aws.logs.get_paginator("filter_log_events").paginate(
                    logGroupName=self._naming.event_group, startTime=start, filterPattern=pattern
                ):
                    for event in page["events"]:
                        if (detail := _detail(event.get("message", ""))) is not None:
                            yield detail
        except NotThere:
            return  # nothing was ever deployed, or the group is new


def _detail(message: str) -> Mapping[str, Any] | None:
    try:
        detail = json.loads(message).get("detail")
    except (ValueError, AttributeError):
        return None
    return detail if isinstance(detail, dict) and "taskArn" in detail else None


def _id(detail: Mapping[str, Any]) -> str:
    return parse_arn_id(str(detail.get("taskArn", "")))
