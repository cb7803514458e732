"""The starts of a backfill: a bounded number at once, in order, until all have ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from nightferry.backend.errors import Unreachable
from nightferry.backend.interface import Backend
from nightferry.catalog.declarations import Schedule
from nightferry.clock import Clock, get_clock
from nightferry.contract import format_scheduled_time
from nightferry.errors import UnknownName
from nightferry.presentation.durations import format_duration

State = Literal["waiting", "running", "succeeded", "failed", "ended before"]
_UNREACHABLE_SECONDS = 10
_MISSING_POLLS = 60  # for which a run may be unknown after its start, because ECS is eventually consistent


@dataclass
class BackfillTime:
    """A time of the range, with the run or execution that was started for it.

    ``was_started``: before this command. ``seen``: this command has seen the end.
    """

    time: datetime
    id: str | None = None
    was_started: bool = False
    state: State = "waiting"
    reason: str = ""
    took: timedelta | None = None
    missing: int = 0
    seen: bool = False

    def describe(self) -> str:
        """Return the state in words."""
        before = "left out, because an earlier start " if self.was_started and not self.seen else ""
        duration = f" after {format_duration(self.took.total_seconds())}" if self.took is not None else ""
        words = {"running": "is running", "ended before": "is no longer stored"} if before else {}
        state = words.get(self.state, self.state)
        return f"{before}{state}{duration}{f': {self.reason}' if self.reason else ''} ({self.id})"


class Backfill:
    """The starts for the times of a schedule. Runs of an earlier backfill count as running ones.

    The caller calls :meth:`step` several times a second until it returns False. A subclass may show changes.
    """

    def __init__(
        self,
        backend: Backend,
        schedule: Schedule,
        entries: Sequence[BackfillTime],
        concurrency: int,
        clock: Clock | None = None,
    ) -> None:
        self._backend = backend
        self._schedule = schedule
        self.entries = entries
        self._concurrency = concurrency
        self._clock = clock or get_clock()
        self._next_poll: datetime | None = None
        self._wait = 0.0
        self._problem = ""
        self.interrupted = False
        """True after a request to start nothing more. What is running is followed to its end."""

    @property
    def succeeded(self) -> bool:
        """Return True if all times of the range have succeeded."""
        return all(entry.state in ("succeeded", "ended before") for entry in self.entries)

    def describe_known(self) -> None:
        """Read the states of what was started before."""
        for entry in self.entries:
            if entry.id is not None:
                self._update(entry)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the times with their runs or executions and results."""
        return [
            {
                "scheduled_at": format_scheduled_time(entry.time),
                "id": entry.id,
                "state": entry.state,
                "started_before": entry.was_started,
                "reason": entry.reason or None,
            }
            for entry in self.entries
        ]

    def report_change(self, entry: BackfillTime, /) -> None:
        """Show that a time was started, or that its run or execution has ended."""

    def report_problem(self, problem: Unreachable) -> None:
        """Show that the backend is unreachable, once until it is reachable again."""

    def step(self) -> bool:
        """Update what is running, and start what may start. Return False if nothing is left to do."""
        now = self._clock.now()
        if self._next_poll is not None and now < self._next_poll:
            return True
        least, most = self._backend.interval
        try:
            changed = self._poll()
            self._problem = ""
            self._wait = least if changed else min(most, max(least, self._wait * 1.5))
        except Unreachable as error:
            if self._problem != str(error):
                self._problem = str(error)
                self.report_problem(error)
            self._wait = _UNREACHABLE_SECONDS
        self._next_poll = self._clock.now() + timedelta(seconds=self._wait)
        waiting = any(entry.state == "waiting" for entry in self.entries)
        return any(entry.state == "running" for entry in self.entries) or (waiting and not self.interrupted)

    def _poll(self) -> bool:
        changed = False
        running = [entry for entry in self.entries if entry.state == "running"]
        for entry in running:
            self._update(entry)
            if entry.state != "running":
                changed = entry.seen = True
                self.report_change(entry)
        free = self._concurrency - sum(entry.state == "running" for entry in running)
        for entry in [entry for entry in self.entries if entry.state == "waiting"][: max(0, free)]:
            if self.interrupted:
                break
            entry.id = self._backend.start_scheduled(self._schedule, entry.time)
            if entry.id is None:
                break  # an earlier start of the target is running, and must not be skipped, replaced or overtaken
            entry.state, changed = "running", True
            self.report_change(entry)
        return changed

    def _update(self, entry: BackfillTime) -> None:
        """Read the state of the run or execution of a time. The repeat of a run takes its place."""
        assert entry.id is not None
        try:
            if self._schedule.kind == "workflow":
                self._update_execution(entry, entry.id)
            else:
                self._update_run(entry, entry.id)
        except UnknownName:
            entry.missing += 1
            if entry.was_started and entry.state == "waiting":
                entry.state = "ended before"
            elif entry.missing > _MISSING_POLLS:
                entry.state, entry.reason = "failed", "not found"

    def _update_run(self, entry: BackfillTime, id: str) -> None:
        run = self._backend.run(id)
        entry.state = "running"
        if run.status != "STOPPED":
            return
        if not run.succeeded:
            if (repeat := self._backend.find_repeat(id)) is not None:
                entry.id = repeat
                return
            if self._backend.find_planned_retry(id) is not None:
                return
            no_code = "it did not start" if run.started_at is None else "it ended without an exit code"
            code = no_code if run.exit_code is None else f"exit code {run.exit_code}"
            entry.reason = f"{code}{f', {run.reason}' if run.reason and run.exit_code is None else ''}"
        entry.took = None if run.stopped_at is None else run.stopped_at - run.created_at
        entry.state = "succeeded" if run.succeeded else "failed"

    def _update_execution(self, entry: BackfillTime, id: str) -> None:
        execution = self._backend.execution(id)
        if execution.status in ("RUNNING", "PENDING_REDRIVE"):
            entry.state = "running"
            return
        entry.took = None if execution.stopped_at is None else execution.stopped_at - execution.started_at
        entry.state = "succeeded" if execution.status == "SUCCEEDED" else "failed"
        entry.reason = "" if execution.status == "SUCCEEDED" else execution.error or execution.status
