"""The starts of a backfill: a bounded number at once, in order, until all have ended."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType
from typing import Any, Literal

from nightferry.backend.interface import Backend, Unreachable
from nightferry.catalog.declarations import Schedule
from nightferry.cli.terminal.notices import format_stored_notices
from nightferry.cli.terminal.options import format_env_option, print_status
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
    """The starts for the times of a schedule. Runs of an earlier backfill count as running ones."""

    def __init__(
        self,
        backend: Backend,
        schedule: Schedule,
        entries: Sequence[BackfillTime],
        concurrency: int,
        env: str,
        clock: Clock | None = None,
    ) -> None:
        self._backend = backend
        self._schedule = schedule
        self._entries = entries
        self._concurrency = concurrency
        self._env = env
        self._clock = clock or get_clock()
        self._next_poll: datetime | None = None
        self._wait = 0.0
        self._problem = ""
        self._print: Callable[[str], None] = print_status
        self._resume = ""
        self.interrupted = False
        """True after Ctrl-C, if times have not been started."""

    @property
    def succeeded(self) -> bool:
        """Return True if all times of the range have succeeded."""
        return all(entry.state in ("succeeded", "ended before") for entry in self._entries)

    def describe_known(self) -> None:
        """Read the states of what was started before."""
        for entry in self._entries:
            if entry.id is not None:
                self._update(entry)

    def run(self, resume: str, output: Callable[[str], None]) -> None:
        """Start and follow what the times need. ``resume`` is the sentence with the command that continues."""
        self._print, self._resume = output, resume
        self.describe_known()
        for entry in self._entries:
            if entry.id is not None:
                self._print(f"{format_scheduled_time(entry.time)}: {entry.describe()}")
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            self._backend.drive(self._step, print_status)
        finally:
            signal.signal(signal.SIGINT, before)
        self._print_summary()

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
            for entry in self._entries
        ]

    def _step(self) -> bool:
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
                print_status(f"{error} Retrying (Ctrl-C starts nothing more).")
            self._wait = _UNREACHABLE_SECONDS
        self._next_poll = self._clock.now() + timedelta(seconds=self._wait)
        waiting = any(entry.state == "waiting" for entry in self._entries)
        return any(entry.state == "running" for entry in self._entries) or (waiting and not self.interrupted)

    def _poll(self) -> bool:
        changed = False
        running = [entry for entry in self._entries if entry.state == "running"]
        for entry in running:
            self._update(entry)
            if entry.state != "running":
                changed = entry.seen = True
                self._print(f"{format_scheduled_time(entry.time)}: {entry.describe()}")
                if entry.state == "failed":
                    self._print(f"  See: nightferry status {entry.id}{format_env_option(self._env)}")
        free = self._concurrency - sum(entry.state == "running" for entry in running)
        for entry in [entry for entry in self._entries if entry.state == "waiting"][: max(0, free)]:
            if self.interrupted:
                break
            entry.id = self._backend.start_scheduled(self._schedule, entry.time)
            if entry.id is None:
                break  # an earlier start of the target is running, and must not be skipped, replaced or overtaken
            entry.state, changed = "running", True
            self._print(f"{format_scheduled_time(entry.time)}: started ({entry.id})")
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

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Start nothing more. The second Ctrl-C stops watching."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        running = sum(entry.state == "running" for entry in self._entries)
        wait = f" Waiting for {running} that have not ended; Ctrl-C again stops waiting." if running else ""
        print_status(f"\nNothing more is started.{wait} {self._resume}")

    def _print_summary(self) -> None:
        counts = {state: sum(entry.state == state for entry in self._entries) for state in ("failed", "waiting")}
        total, done = len(self._entries), len(self._entries) - sum(counts.values())
        self.interrupted = self.interrupted and counts["waiting"] > 0
        failed = f", {counts['failed']} failed" if counts["failed"] else ""
        left = f", {counts['waiting']} not started. {self._resume}" if counts["waiting"] else ""
        self._print(f"{done} of {total} times succeeded{failed}{left}")
        if self._schedule.kind == "workflow":
            ids = [entry.id for entry in self._entries if entry.id is not None and not entry.was_started]
            for line in format_stored_notices([t for id in ids for t in self._backend.stored_notices(id)], self._env):
                self._print(line)
        if counts["failed"]:
            self._print("Start a failed one again with: nightferry redrive ID" + format_env_option(self._env))
