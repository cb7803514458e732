"""Watch a run or an execution: poll it, and handle Ctrl-C and an unreachable backend."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import FrameType, TracebackType
from typing import Any

from rich.live import Live

from nightferry.backend.errors import CredentialsExpired, Refused, Unreachable
from nightferry.backend.interface import Backend
from nightferry.cli.terminal.options import format_env_option, print_status
from nightferry.cli.terminal.streams import echo_block
from nightferry.clock import Clock, get_clock
from nightferry.contract import ExitCode
from nightferry.errors import NightferryError

_CREDENTIALS_WAIT = timedelta(minutes=15)  # the wait for new credentials without an interactive terminal
_STEP_SECONDS = 0.15
_QUESTION = "\nCtrl-C: [s]top the {kind}, [l]eave it running and stop watching, or continue to [w]atch? "


class StoppedWatching(NightferryError):
    """Watching has stopped, while the run or execution continues. The message has the command to resume watching."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(frozen=True)
class PollResult:
    """The result of a poll: ``has_new`` if anything changed, ``ended`` if it was the last poll."""

    has_new: bool
    ended: bool


@dataclass
class Watcher:
    """Watches a run or an execution in the environment ``env``."""

    backend: Backend
    id: str
    kind: str = "task"
    env: str = "local"
    clock: Clock = field(default_factory=get_clock)
    live: Live | None = None

    def watch(self, poll: Callable[[], PollResult], draw: Callable[[], None] = lambda: None) -> None:
        """Call ``poll`` at intervals until it reports the end, and ``draw`` between the polls.

        Ctrl-C (or SIGTERM) stops a local run. For a run on AWS, it prompts for an action, and the second Ctrl-C stops
        watching. Raises StoppedWatching, KeyboardInterrupt or Refused.
        """
        loop = _Loop(self, poll, draw)
        with _Interrupts(at_once=self.backend.outlives_client) as loop.interrupts:
            try:
                self.backend.drive(loop.step, print_status)
            except KeyboardInterrupt:
                if loop.ended:
                    return
                if self.backend.outlives_client:
                    raise self.make_stopped_error() from None
                raise
            except Refused as refused:
                raise Refused(f"{refused}\n{self.make_stopped_error()}") from None

    def watch_only(self, poll: Callable[[], PollResult]) -> None:
        """Call ``poll`` until it reports the end, without driving the backend. Ctrl-C stops watching."""
        loop = _Loop(self, poll, lambda: None)
        try:
            while loop.step():
                self.clock.sleep(_STEP_SECONDS)
        except KeyboardInterrupt:
            raise StoppedWatching(f"Stopped watching. Resume with: {self.resume_command}") from None

    def make_stopped_error(self) -> StoppedWatching:
        """Return the error after watching has stopped, with the commands to resume watching and to stop the task."""
        return StoppedWatching(
            f"Stopped watching; the {self.kind} continues. Resume with: {self.resume_command}. Stop it with: "
            f"nightferry stop {self.id}{format_env_option(self.env)}."
        )

    @property
    def resume_command(self) -> str:
        """The command that resumes watching."""
        return f"nightferry logs {self.id} --follow{format_env_option(self.env)}"

    @property
    def is_interactive(self) -> bool:
        """True if a person can answer a prompt."""
        return sys.stdin.isatty() and (sys.stderr.isatty() or sys.stdout.isatty())


@dataclass
class _Loop:
    """The loop of a watcher. The backend calls ``step`` several times a second."""

    watcher: Watcher
    poll: Callable[[], PollResult]
    draw: Callable[[], None]
    ended: bool = False
    _stop_requested: bool = False
    _interrupts_handled: int = 0
    _wait_seconds: float = 0.0
    _next_poll: datetime | None = None
    _problem: str | None = None
    _problem_since: datetime | None = None

    def __post_init__(self) -> None:
        self.interrupts = _Interrupts(at_once=False)

    def step(self) -> bool:
        """Handle interrupts, poll if it is time, and draw. Return False if this was the last step."""
        if self.interrupts.count > self._interrupts_handled:
            self._interrupts_handled = self.interrupts.count
            self._handle_interrupt()
        now = self.watcher.clock.now()
        if self._next_poll is None or now >= self._next_poll:
            self._poll(now)
        self.draw()
        return not self.ended

    def _poll(self, now: datetime) -> None:
        least, most = self.watcher.backend.interval
        try:
            result = self.poll()
        except Unreachable as error:
            self._handle_unreachable(error, now)
            has_new = False
        else:
            if self._problem is not None:
                self._problem = self._problem_since = None
                print_status("Connected again. Watching continues.")
            self.ended = result.ended
            has_new = result.has_new
        self._wait_seconds = least if has_new else min(most, max(least, self._wait_seconds * 1.5))
        self._next_poll = self.watcher.clock.now() + timedelta(seconds=self._wait_seconds)

    def _handle_unreachable(self, error: Unreachable, now: datetime) -> None:
        watcher = self.watcher
        self._problem_since = self._problem_since or now
        if isinstance(error, CredentialsExpired):
            waited_long = not watcher.is_interactive and now - self._problem_since > _CREDENTIALS_WAIT
            if not error.renewable or waited_long:
                raise StoppedWatching(f"{error}\n{watcher.make_stopped_error()}")
        if self._problem != str(error):
            self._problem = str(error)
            print_status(f"{error} The {watcher.kind} continues. Retrying (Ctrl-C stops watching).")

    def _handle_interrupt(self) -> None:
        watcher = self.watcher
        if self.ended or self._stop_requested:
            raise KeyboardInterrupt
        if watcher.backend.outlives_client:
            match self._prompt():
                case "stop":
                    print_status(f"Requested the stop of the {watcher.kind}. Watching until it has stopped.")
                case "leave":
                    raise watcher.make_stopped_error()
                case _:
                    return
        self._stop_requested = True
        watcher.backend.stop(watcher.id, "Stopped from the terminal.", watcher.backend.author())

    def _prompt(self) -> str:
        """Return the user's choice: stop, leave or watch."""
        if not self.watcher.is_interactive:
            return "leave"
        with _pause(self.watcher.live):
            while True:
                echo_block(_QUESTION.format(kind=self.watcher.kind), err=True, nl=False)
                answer = sys.stdin.readline()
                self._interrupts_handled = self.interrupts.count = 0
                match answer.strip().lower()[:1]:
                    case "s":
                        return "stop"
                    case "w":
                        return "watch"
                    case "l":
                        return "leave"
                    case _ if not answer:  # the terminal was closed
                        return "leave"


class _Interrupts:
    """Counts Ctrl-C and SIGTERM.

    With ``at_once``, the second one raises KeyboardInterrupt immediately, because a call to AWS may hang.
    """

    def __init__(self, *, at_once: bool) -> None:
        self.count = 0
        self._at_once = at_once
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._count)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._at_once and self.count > 1:
            raise KeyboardInterrupt


def _pause(live: Live | None) -> AbstractContextManager[object]:
    return nullcontext() if live is None else _Pause(live)


class _Pause:
    """Stops a live display during a prompt."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def __enter__(self) -> None:
        self._live.stop()

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._live.start()
