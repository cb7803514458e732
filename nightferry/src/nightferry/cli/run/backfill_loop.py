"""A backfill on a terminal: its changes, Ctrl-C, and the summary."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from types import FrameType

from nightferry.backend.interface import Backend, Unreachable
from nightferry.catalog.declarations import Schedule
from nightferry.cli.terminal.notices import format_stored_notices
from nightferry.cli.terminal.options import format_env_option, print_status
from nightferry.clock import Clock
from nightferry.contract import format_scheduled_time
from nightferry.presentation.backfill import Backfill, BackfillTime


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

    def report_change(self, entry: BackfillTime) -> None:
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
        counts = {state: sum(entry.state == state for entry in self.entries) for state in ("failed", "waiting")}
        total, done = len(self.entries), len(self.entries) - sum(counts.values())
        self.interrupted = self.interrupted and counts["waiting"] > 0
        failed = f", {counts['failed']} failed" if counts["failed"] else ""
        left = f", {counts['waiting']} not started. {self._resume}" if counts["waiting"] else ""
        self._print(f"{done} of {total} times succeeded{failed}{left}")
        if self._schedule.kind == "workflow":
            ids = [entry.id for entry in self.entries if entry.id is not None and not entry.was_started]
            for line in format_stored_notices([t for id in ids for t in self._backend.stored_notices(id)], self._env):
                self._print(line)
        if counts["failed"]:
            self._print("Start a failed one again with: nightferry redrive ID" + format_env_option(self._env))
