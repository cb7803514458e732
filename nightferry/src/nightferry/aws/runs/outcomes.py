"""The results of stopped runs, from the log group of task state changes.

ECS forgets a stopped task within hours; the log group retains its events. Events may be repeated and out of order, so
the one with the highest ``version`` of each task counts (ECS guide, "Events").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.clock import Clock
from nightferry.contract import Naming, parse_arn_id

# Periods to search, in order, until enough runs are found: CloudWatch returns the oldest events first.
_SEARCH_PERIODS = (timedelta(hours=26), timedelta(days=8), timedelta(days=35), timedelta(days=400))


class Outcomes:
    """The last known states of tasks, newest first."""

    def __init__(self, aws: Aws, naming: Naming, clock: Clock) -> None:
        self._aws = aws
        self._naming = naming
        self._clock = clock

    def find_by_task(self, task: str | None, limit: int) -> list[Mapping[str, Any]]:
        """Return the stopped runs of one task, or of all: at least ``limit`` of them, if that many exist."""
        family = "*" if task is None else self._naming.family(task)
        pattern = f'{{ ($.detail.lastStatus = "STOPPED") && ($.detail.group = "family:{family}") }}'

        def fits(detail: Mapping[str, Any]) -> bool:
            group = str(detail.get("group", ""))
            return detail.get("lastStatus") == "STOPPED" and (task is None or group == f"family:{family}")

        return self._search(pattern, fits, limit)

    def find_since(self, task: str, since: datetime) -> list[Mapping[str, Any]]:
        """Return the last known states of all runs of a task after ``since``, running ones included."""
        group = f"family:{self._naming.family(task)}"
        found: dict[str, Mapping[str, Any]] = {}
        for detail in self._read_events(f'{{ $.detail.group = "{group}" }}', self._clock.now() - since):
            known = found.get(_get_id(detail))
            if detail.get("group") == group and (known is None or known.get("version", 0) <= detail.get("version", 0)):
                found[_get_id(detail)] = detail
        return list(found.values())

    def find_by_id_prefix(self, prefix: str) -> list[Mapping[str, Any]]:
        """Return the runs whose IDs start with ``prefix``."""
        pattern = f'{{ $.detail.taskArn = "*/{prefix}*" }}'
        return self._search(pattern, lambda detail: _get_id(detail).startswith(prefix), 1)

    def find_id_by_starter(self, started_by: str, since: datetime) -> str | None:
        """Return the ID of a run with this exact ``startedBy``, created after ``since``; None if there is none."""
        for detail in self._read_events(f'{{ $.detail.startedBy = "{started_by}" }}', self._clock.now() - since):
            if detail.get("startedBy") == started_by:
                return _get_id(detail)
        return None

    def find_by_start(self, token: str, since: datetime) -> Mapping[str, Any] | None:
        """Return the last known state of the run that was started with this client token after ``since``."""
        found: Mapping[str, Any] | None = None
        for detail in self._read_events(f'"{token}"', self._clock.now() - since):
            if token in json.dumps(detail.get("overrides", {})) and (
                found is None or found.get("version", 0) <= detail.get("version", 0)
            ):
                found = detail
        return found

    def _search(self, pattern: str, fits: Any, limit: int) -> list[Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for period in _SEARCH_PERIODS:
            found = {}
            for detail in self._read_events(pattern, period):
                known = found.get(_get_id(detail))
                if fits(detail) and (known is None or known.get("version", 0) <= detail.get("version", 0)):
                    found[_get_id(detail)] = detail
            if len(found) >= limit:
                break
        return sorted(found.values(), key=lambda detail: str(detail.get("createdAt", "")), reverse=True)

    def _read_events(self, pattern: str, period: timedelta) -> Iterator[Mapping[str, Any]]:
        start = int((self._clock.now() - period).timestamp() * 1000)
        try:
            with self._aws.translate_errors("read the task state changes", missing=("ResourceNotFoundException",)):
                for page in self._aws.logs.get_paginator("filter_log_events").paginate(
                    logGroupName=self._naming.event_group, startTime=start, filterPattern=pattern
                ):
                    for event in page["events"]:
                        if (detail := _parse_detail(event.get("message", ""))) is not None:
                            yield detail
        except ResourceNotFound:
            return  # the environment was never deployed, or by a version without this log group


def _parse_detail(message: str) -> Mapping[str, Any] | None:
    try:
        detail = json.loads(message).get("detail")
    except (ValueError, AttributeError):
        return None
    return detail if isinstance(detail, dict) and "taskArn" in detail else None


def _get_id(detail: Mapping[str, Any]) -> str:
    return parse_arn_id(str(detail.get("taskArn", "")))
