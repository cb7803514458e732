"""A backfill that pages show: the starts for the times of a schedule, a bounded number at once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nightferry.backend.errors import Unreachable
from nightferry.backend.interface import Backend
from nightferry.catalog.declarations import Schedule
from nightferry.clock import Clock
from nightferry.contract import format_scheduled_time
from nightferry.dashboard.batches.batch import Batch, Order, Row, RowState
from nightferry.presentation.quantities import format_quantity
from nightferry.presentation.schedules.backfill import Backfill, BackfillTime, State

_STEP_SECONDS = 0.25
_STATES: dict[State, RowState] = {
    "waiting": "queued",
    "running": "open",
    "succeeded": "succeeded",
    "failed": "failed",
    "ended before": "skipped",
}


class BackfillBatch(Batch):
    """The starts for times of a schedule."""

    def __init__(
        self, order: Order, schedule: Schedule, entries: Sequence[BackfillTime], concurrency: int, clock: Clock
    ) -> None:
        super().__init__(order, [Row(format_scheduled_time(entry.time)) for entry in entries])
        self._schedule = schedule
        self._entries = entries
        self._concurrency = concurrency
        self._clock = clock

    def work(self, backend: Backend) -> None:
        """Start and follow what the times need."""
        followed = _ShownBackfill(self, backend, self._schedule, self._entries, self._concurrency, self._clock)
        followed.describe_known()
        while followed.step():
            self._show()
            followed.interrupted = self.stopping.is_set()
            # The engine that continues local work ends when nothing is open, and then a later start needs a new one.
            if any(entry.state == "running" for entry in self._entries):
                backend.detach()
            time.sleep(_STEP_SECONDS)
        self._show()

    def _show(self) -> None:
        page = "executions" if self._schedule.kind == "workflow" else "runs"
        for row, entry in zip(self.rows, self._entries, strict=True):
            row.state = _STATES[entry.state]
            row.path = f"/{page}/{entry.id}" if entry.id is not None else ""
            row.text = entry.reason or ("started before" if entry.was_started and not entry.seen else "")

    def list_started(self) -> list[str]:
        """Return the IDs that this batch has started."""
        return [entry.id for entry in self._entries if entry.id is not None and not entry.was_started]

    def describe(self) -> str:
        """Return the number of times by their state."""
        words = {"succeeded": "succeeded", "failed": "failed", "open": "running", "queued": "not started"}
        found = [(self.count(state), word) for state, word in words.items()]  # type: ignore[arg-type]
        parts = ", ".join(f"{number:,} {word}" for number, word in found if number)
        return f"Of {format_quantity(len(self.rows), 'time')}, {parts}."


class _ShownBackfill(Backfill):
    def __init__(
        self,
        batch: BackfillBatch,
        backend: Backend,
        schedule: Schedule,
        entries: Sequence[BackfillTime],
        concurrency: int,
        clock: Clock,
    ) -> None:
        super().__init__(backend, schedule, entries, concurrency, clock)
        self._batch = batch

    def report_change(self, _: BackfillTime, /) -> None:
        self._batch.problem = ""

    def report_problem(self, problem: Unreachable) -> None:
        self._batch.problem = f"{problem} It is tried again."
