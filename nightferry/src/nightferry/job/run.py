"""One run of a job, as the job's body sees it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from nightferry.contract import LogEvent
from nightferry.job import new_relic
from nightferry.job.runtime import Runtime

_log = logging.getLogger("nightferry.job")


@dataclass(frozen=True)
class Run:
    """A run's identity, and what it tells of itself while it works."""

    runtime: Runtime
    stop_requested: threading.Event = field(default_factory=threading.Event)
    """Set when the run is asked to stop. The main thread gets the exception ``Stopped`` too."""

    @property
    def task(self) -> str:
        """The task's name."""
        return self.runtime.task

    @property
    def id(self) -> str:
        """The run's id: given by the engine, else that of the ECS task, else a new UUID."""
        return self.runtime.run_id

    @property
    def execution(self) -> str | None:
        """The id of the workflow execution that the run belongs to."""
        return self.runtime.execution

    def send_events(self, event_type: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Send New Relic custom events, where its insert key is set. They hold no personal data."""
        new_relic.send_events(self.runtime, event_type, events)

    def progress(self, step: str, total: int | None = None, unit: str = "") -> Progress:
        """Tell how far ``step`` is; a ``total`` of None means that nobody knows how much there is to do."""
        return Progress(step, total, unit)


class Progress:
    """How far one step of a run is. Emits an event at its start, its end, and at most one a second between.

    An event is a log line with the fields ``event`` ("progress"), ``step``, ``done``, ``total`` and ``unit``.
    It may be advanced by several threads.
    """

    INTERVAL = 1.0
    """Seconds between two events."""

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
        """``n`` more are done."""
        with self._lock:
            self.count += n
            now = time.monotonic()
            if now - self._emitted >= self.INTERVAL:
                self._emitted = now
                self._emit()

    def done(self) -> None:
        """The step has ended; a second call does nothing."""
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
