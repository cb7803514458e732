"""A backfill on a terminal: its changes, Ctrl-C, and the summary."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from types import FrameType

from nightferry.backend.errors import Unreachable
from nightferry.backend.interface import Backend
from nightferry.catalog.declarations import Schedule
from nightferry.cli.terminal.notices import format_stored_notices
from nightferry.cli.terminal.options import format_env_option, print_status
from nightferry.clock import Clock
from nightferry.contract import format_scheduled_time
from nightferry.presentation.schedules.backfill import Backfill, BackfillTime


class TerminalBackfill(Backfill):
    """A backfill that prints its changes, and that Ctrl-C interrupts."""

    def __init__(
        self,
        backend: Backend,
        schedule: Schedule,
        entries: Sequence[BackfillTime],
        concurrency: int,
        env: str,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(backend, schedule, entries, concurrency, clock)
        self._env = env
        self._print: Callable[[str], None] = print_status
        self._resume = ""

    @property
    def started(self) -> list[str]:
        """Return the IDs of what this command has started."""
        return [entry.id for entry in self.entries if entry.id is not None and not entry.was_started]

    @property
    def summary(self) -> str:
        """Return the number of times that have succeeded and failed, in words."""
        failed, waiting = self._count("failed"), self._count("waiting")
        done = len(self.entries) - failed - waiting
        return f"{done} of {len(self.entries)} times succeeded" + (f", {failed} failed" if failed else "")

    def _count(self, state: str) -> int:
        return sum(entry.state == state for entry in self.entries)

    def run(self, resume: str, output: Callable[[str], None]) -> None:
        """Start and follow what the times need. ``resume`` is the sentence with the command that continues."""
        self._print, self._resume = output, resume
        self.describe_known()
        for entry in self.entries:
            if entry.id is not None:
                self._print(f"{format_scheduled_time(entry.time)}: {entry.describe()}")
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            self._backend.drive(self.step, print_status)
        finally:
            signal.signal(signal.SIGINT, before)
        self._print_summary()

    def report_change(self, entry: BackfillTime, /) -> None:
        """Print a start or an end."""
        state = f"started ({entry.id})" if entry.state == "running" else entry.describe()
        self._print(f"{format_scheduled_time(entry.time)}: {state}")
        if entry.state == "failed":
            self._print(f"  See: nightferry status {entry.id}{format_env_option(self._env)}")

    def report_problem(self, problem: Unreachable) -> None:
        """Print that the backend is unreachable."""
        print_status(f"{problem} Retrying (Ctrl-C starts nothing more).")

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Start nothing more. The second Ctrl-C stops watching."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        running = sum(entry.state == "running" for entry in self.entries)
        wait = f" Waiting for {running} that have not ended; Ctrl-C again stops waiting." if running else ""
        print_status(f"\nNothing more is started.{wait} {self._resume}")

    def _print_summary(self) -> None:
        waiting = self._count("waiting")
        self.interrupted = self.interrupted and waiting > 0
        self._print(self.summary + (f", {waiting} not started. {self._resume}" if waiting else ""))
        if self._schedule.kind == "workflow":
            topics = [topic for id in self.started for topic in self._backend.stored_notices(id)]
            for line in format_stored_notices(topics, self._env):
                self._print(line)
        if self._count("failed"):
            self._print("Start a failed one again with: nightferry redrive ID" + format_env_option(self._env))
