"""The results of stopped runs, from the log group of task state changes.

ECS forgets a stopped task within hours; the log group retains its events. Events may be repeated and out of order, so
the one with the highest ``version`` of each task counts (ECS guide, "Events").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from nightferry.aws.periods import to_epoch_ms
from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.clock import Clock
from nightferry.contract import Naming, parse_arn_id

# Periods to search for an ID, in order, until it is found: CloudWatch returns the oldest events first.
_SEARCH_PERIODS = (timedelta(hours=26), timedelta(days=8), timedelta(days=35), timedelta(days=400))


class Outcomes:
    """The last known states of tasks, newest first."""

    def __init__(self, aws: Aws, naming: Naming, clock: Clock) -> None:
        self._aws = aws
        self._naming = naming
        self._clock = clock

    def find_stopped(self, task: str | None, begin: datetime, end: datetime) -> list[Mapping[str, Any]]:
        """Return the runs of one task, or of all, that stopped in a period; ``end`` is exclusive and may be later."""
        family = "*" if task is None else self._naming.family(task)
        pattern = f'{{ ($.detail.lastStatus = "STOPPED") && ($.detail.group = "family:{family}") }}'
        stopped = (
            detail
            for detail in self._read_events(pattern, begin, end)
            if detail.get("lastStatus") == "STOPPED" and (task is None or detail.get("group") == f"family:{family}")
        )
        return list(_keep_latest(stopped).values())

    def find_since(self, task: str, since: datetime) -> list[Mapping[str, Any]]:
        """Return the last known states of all runs of a task after ``since``, running ones included."""
        group = f"family:{self._naming.family(task)}"
        events = self._read_events(f'{{ $.detail.group = "{group}" }}', since)
        return list(_keep_latest(detail for detail in events if detail.get("group") == group).values())

    def find_by_id_prefix(self, prefix: str) -> list[Mapping[str, Any]]:
        """Return the runs whose IDs start with ``prefix``."""
        pattern = f'{{ $.detail.taskArn = "*/{prefix}*" }}'
        for period in _SEARCH_PERIODS:
            events = self._read_events(pattern, self._clock.now() - period)
            found = _keep_latest(detail for detail in events if _get_id(detail).startswith(prefix))
            if found:
                return sorted(found.values(), key=lambda detail: str(detail.get("createdAt", "")), reverse=True)
        return []

    def find_id_by_starter(self, started_by: str, since: datetime) -> str | None:
        """Return the ID of a run with this exact ``startedBy``, created after ``since``; None if there is none."""
        for detail in self._read_events(f'{{ $.detail.startedBy = "{started_by}" }}', since):
            if detail.get("startedBy") == started_by:
                return _get_id(detail)
        return None

    def find_by_start(self, token: str, since: datetime) -> Mapping[str, Any] | None:
        """Return the last known state of the run that was started with this client token after ``since``."""
        events = self._read_events(f'"{token}"', since)
        found = _keep_latest(detail for detail in events if token in json.dumps(detail.get("overrides", {})))
        return next(iter(found.values()), None)

    def _read_events(self, pattern: str, begin: datetime, end: datetime | None = None) -> Iterator[Mapping[str, Any]]:
        period: Any = {"startTime": to_epoch_ms(begin)}
        if end is not None and end < self._clock.now():
            period["endTime"] = to_epoch_ms(end)
        try:
            with self._aws.translate_errors("read the task state changes", missing=("ResourceNotFoundException",)):
                for page in self._aws.logs.get_paginator("filter_log_events").paginate(
                    logGroupName=self._naming.event_group, filterPattern=pattern, **period
                ):
                    for event in page["events"]:
                        if (detail := _parse_detail(event.get("message", ""))) is not None:
                            yield detail
        except ResourceNotFound:
            return  # the environment was never deployed, or by a version without this log group


def _parse_detail(message: str) -> Mapping[str, Any] | None:
    try:
        detail = json.loads(message).get("detail")
    except (ValueError, AttributeError, RecursionError):
        return None
    known = isinstance(detail, dict) and "taskArn" in detail and isinstance(detail.get("version", 0), int)
    return detail if known else None


def _keep_latest(details: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the last state of each task by its ID."""
    found: dict[str, Mapping[str, Any]] = {}
    for detail in details:
        known = found.get(_get_id(detail))
        if known is None or known.get("version", 0) <= detail.get("version", 0):
            found[_get_id(detail)] = detail
    return found


def _get_id(detail: Mapping[str, Any]) -> str:
    return parse_arn_id(str(detail.get("taskArn", "")))
