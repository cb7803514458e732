"""Histories of executions, read from Step Functions once: a later call reads only the events since the last one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nightferry.aws.executions.history import ScopeReader
from nightferry.aws.session import Aws
from nightferry.backend.executions import WorkflowExecution
from nightferry.states.machine.history import HistoryEvent

KEPT_EVENTS = 100_000
"""The number of events, with their data, of all executions that are kept."""

_OPEN = ("RUNNING", "PENDING_REDRIVE")


@dataclass
class _Known:
    scopes: ScopeReader = field(default_factory=ScopeReader)
    events: list[HistoryEvent] = field(default_factory=list)
    end: object = None  # the end up to which the history is complete
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, raw_events: list[Mapping[str, Any]]) -> None:
        self.events += self.scopes.add(raw_events)


class Histories:
    """The histories of the executions that were read last. Several threads may use it."""

    def __init__(self, aws: Aws, limit: int = KEPT_EVENTS) -> None:
        self._aws = aws
        self._limit = limit
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, arn: str, execution: WorkflowExecution, after: int = 0) -> list[HistoryEvent]:
        """Return the events after the first ``after`` ones.

        An ended execution has no further events, so its history is complete until a redrive leads to another end.
        """
        with self._lock:
            known = self._known.setdefault(arn, _Known())
            self._known.move_to_end(arn)
        with known.lock:
            end = (execution.status, execution.stopped_at)
            if known.end != end or execution.status in _OPEN:
                with self._aws.translate_errors(f"read the history of execution {execution.id}"):
                    self._read_new(arn, known)
                known.end = end
            found = known.events[after:]
        self._drop()
        return found

    def _read_new(self, arn: str, known: _Known) -> None:
        """Read the events that are not known: all from the first, or the latest ones back to the last known one."""
        if not known.events:
            for page in self._read_pages(arn, newest_first=False):
                known.add(page)
            return
        last = known.events[-1].id
        new: list[Mapping[str, Any]] = []
        for page in self._read_pages(arn, newest_first=True):
            new += [event for event in page if event["id"] > last]
            if not page or page[-1]["id"] <= last + 1:
                break
        known.add(new[::-1])

    def _read_pages(self, arn: str, *, newest_first: bool) -> Iterator[list[Mapping[str, Any]]]:
        pages = self._aws.stepfunctions.get_paginator("get_execution_history").paginate(
            executionArn=arn,
            includeExecutionData=True,
            reverseOrder=newest_first,
            PaginationConfig={"PageSize": 1000},  # the API's default is 100
        )
        for page in pages:
            yield list(page["events"])

    def _drop(self) -> None:
        with self._lock:
            kept = sum(len(known.events) for known in self._known.values())
            while kept > self._limit and len(self._known) > 1:
                _, dropped = self._known.popitem(last=False)
                kept -= len(dropped.events)
