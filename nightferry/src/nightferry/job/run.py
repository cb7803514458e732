"""The run that is passed to a job's function."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from nightferry.clock import Clock, SystemClock
from nightferry.contract import LogEvent, ReasonCount
from nightferry.job import new_relic
from nightferry.job.report import log_report
from nightferry.job.runtime import Runtime

_log = logging.getLogger("nightferry.job")


@dataclass(frozen=True)
class Run:
    """A run's identity, and its methods to report progress and events."""

    runtime: Runtime
    stop_requested: threading.Event = field(default_factory=threading.Event)
    """Set when a stop of the run is requested, when the main thread also receives the exception ``Stopped``."""
    clock: Clock = field(default_factory=SystemClock)
    """The time source: use its ``now`` and ``sleep``, so that a test can replace it with a fake clock."""

    @property
    def task(self) -> str:
        """The task's name."""
        return self.runtime.task

    @property
    def id(self) -> str:
        """The run's ID: the engine's if given, otherwise the ECS task's, otherwise a new UUID."""
        return self.runtime.run_id

    @property
    def execution(self) -> str | None:
        """The ID of the workflow execution that the run belongs to."""
        return self.runtime.execution

    @property
    def scheduled_at(self) -> datetime | None:
        """The time for which a schedule or a backfill started the run, in UTC; None for any other start."""
        return self.runtime.scheduled_at

    def send_events(self, event_type: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Send custom events to New Relic if the insert key is set. Personal data is masked."""
        new_relic.send_events(self.runtime, event_type, events)

    def progress(self, step: str, total: int | None = None, unit: str = "") -> Progress:
        """Report the progress of ``step``; a ``total`` of None means that the total is unknown."""
        return Progress(step, total, unit)

    def report(
        self,
        kind: str,
        subject: str,
        counts: Mapping[str, int],
        *,
        total: int,
        reasons: Iterable[ReasonCount] = (),
        failed: bool = False,
        note: str = "",
        limit: float | None = None,
        reference: int | None = None,
    ) -> None:
        """Report the outcomes of the records of a file or another ``subject``, for the page "Files" of the dashboard.

        Args:
            kind: The name of a ``catalog.report(…)``, which explains the counts and reasons.
            subject: What was processed, such as the name of a file.
            counts: The number of records by outcome. Each record is counted once.
            total: The number of records.
            reasons: Why records were rejected.
            failed: Whether the subject was not processed, so that the work on it must be repeated.
            note: A sentence about the subject, such as the cause of a failure. A report with a note does not count for
                the usual share of rejected records.
            limit: The share of rejected records above which the subject fails, from 0 to 1.
            reference: The number by which the query of ``catalog.report(…)`` finds the rejected records.

        The log and the engine's store contain the report, so that it must not contain a value of a record.

        Raises:
            InvalidReport: The counts do not add up to ``total``, or there are more reasons than records.
        """
        log_report(
            kind,
            subject,
            counts,
            total=total,
            reasons=reasons,
            failed=failed,
            note=note,
            limit=limit,
            reference=reference,
        )


class Progress:
    """The progress of one step of a run, safe for use by several threads.

    It logs an event at the start, at the end, and at most once per second in between. An event has the fields
    ``event`` ("progress"), ``step``, ``done``, ``total`` and ``unit``.
    """

    INTERVAL_SECONDS = 1.0
    """Minimum time between two events."""

    def __init__(self, step: str, total: int | None, unit: str) -> None:
        self.step = step
        self.total = total
        self.unit = unit
        self.count = 0
        self._lock = threading.Lock()
        self._ended = False
        self._emitted = time.monotonic()
        self._emit()

    def advance(self, n: int = 1) -> None:
        """Add ``n`` to the count."""
        with self._lock:
            self.count += n
            now = time.monotonic()
            if now - self._emitted >= self.INTERVAL_SECONDS:
                self._emitted = now
                self._emit()

    def done(self) -> None:
        """Log the end of the step; a second call does nothing."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._emit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.done()

    def _emit(self) -> None:
        of_total = "" if self.total is None else f" of {self.total}"
        _log.info(
            "%s: %d%s %s",
            self.step,
            self.count,
            of_total,
            self.unit,
            extra={
                "event": LogEvent.PROGRESS,
                "step": self.step,
                "done": self.count,
                "total": self.total,
                "unit": self.unit,
                "ended": self._ended,
            },
        )
