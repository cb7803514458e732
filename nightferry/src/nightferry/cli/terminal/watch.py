"""Watching what goes on: looks at a pace, Ctrl-C, and a place that cannot be asked for a while."""

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

from nightferry.backend.interface import Backend, CredentialsExpired, Refused, Unreachable
from nightferry.clock import Clock, SystemClock
from nightferry.contract import ExitCode
from nightferry.errors import NightferryError

_PATIENCE = timedelta(minutes=15)  # for new credentials, where nobody sits at a terminal
_STEP = 0.15  # seconds
_QUESTION = "\nCtrl-C: [s]top the {what}, [l]eave it running and stop watching, or [w]atch on? "


class LeftWatching(NightferryError):
    """Nobody watches any more; what was watched goes on, and the message says how to take it up again."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(frozen=True)
class Seen:
    """What a look has brought: anything new, and whether it was the last one."""

    news: bool
    ended: bool


@dataclass
class Watcher:
    """Watches one run or execution of a backend, the environment ``env``."""

    backend: Backend
    id: str
    what: str = "task"
    env: str = "local"
    clock: Clock = field(default_factory=SystemClock)
    live: Live | None = None

    def watch(self, look: Callable[[], Seen], draw: Callable[[], None] = lambda: None) -> None:
        """Call ``look`` until it has ended, and ``draw`` in between.

        Ctrl-C (or SIGTERM) stops what runs here, and asks about what goes on without us; a second one ends watching.
        Raises LeftWatching, KeyboardInterrupt or Refused.
        """
        loop = _Loop(self, look, draw)
        with _Interrupts(at_once=self.backend.outlives_client) as loop.interrupts:
            try:
                self.backend.drive(loop.step, _tell)
            except KeyboardInterrupt:
                if loop.ended:
                    return
                if self.backend.outlives_client:
                    raise self.left() from None
                raise
            except Refused as refused:
                raise Refused(f"{refused}\n{self.left()}") from None

    def look_on(self, look: Callable[[], Seen]) -> None:
        """Call ``look`` until it has ended, and do nothing for what is watched; Ctrl-C leaves."""
        loop = _Loop(self, look, lambda: None)
        try:
            while loop.step():
                self.clock.sleep(_STEP)
        except KeyboardInterrupt:
            raise LeftWatching(f"No longer watching. Watch on: {self.resume}") from None

    def left(self) -> LeftWatching:
        """Says that watching is over, and how to go on."""
        return LeftWatching(f"No longer watching; the {self.what} goes on. Watch on: {self.resume}. Stop it: "
                            f"nightferry stop {self.id}{self._env}.")  # fmt: skip

    @property
    def resume(self) -> str:
        """The command that takes up watching."""
        return f"nightferry logs {self.id} --follow{self._env}"

    @property
    def _env(self) -> str:
        return "" if self.env == "local" else f" --env {self.env}"

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return sys.stdin.isatty() and (sys.stderr.isatty() or sys.stdout.isatty())


@dataclass
class _Loop:
    """The steps of watching."""

    watcher: Watcher
    look: Callable[[], Seen]
    draw: Callable[[], None]
    ended: bool = False
    _asked_to_stop: bool = False
    _handled: int = 0
    _wait: float = 0.0
    _next: datetime | None = None
    _trouble: str | None = None
    _since: datetime | None = None

    def __post_init__(self) -> None:
        self.interrupts = _Interrupts(at_once=False)

    def step(self) -> bool:
        """One step; False when it was the last."""
        if self.interrupts.count > self._handled:
            self._handled = self.interrupts.count
            self._interrupted()
        now = self.watcher.clock.now()
        if self._next is None or now >= self._next:
            self._look(now)
        self.draw()
        return not self.ended

    def _look(self, now: datetime) -> None:
        least, most = self.watcher.backend.interval
        try:
            seen = self.look()
        except Unreachable as error:
            self._cannot(error, now)
            news = False
        else:
            if self._trouble is not None:
                self._trouble = self._since = None
                _tell("It answers again; watching on.")
            self.ended = seen.ended
            news = seen.news
        self._wait = least if news else min(most, max(least, self._wait * 1.5))
        self._next = self.watcher.clock.now() + timedelta(seconds=self._wait)

    def _cannot(self, error: Unreachable, now: datetime) -> None:
        watcher = self.watcher
        self._since = self._since or now
        if isinstance(error, CredentialsExpired):
            waited_long = not watcher.interactive and now - self._since > _PATIENCE
            if not error.renewable or waited_long:
                raise LeftWatching(f"{error}\n{watcher.left()}")
        if self._trouble != str(error):
            self._trouble = str(error)
            _tell(f"{error} The {watcher.what} goes on; trying again until it answers (Ctrl-C leaves).")

    def _interrupted(self) -> None:
        watcher = self.watcher
        if self.ended or self._asked_to_stop:
            raise KeyboardInterrupt
        if watcher.backend.outlives_client:
            match self._ask():
                case "stop":
                    _tell(f"Asked the {watcher.what} to stop; watching until it has.")
                case "leave":
                    raise watcher.left()
                case _:
                    return
        self._asked_to_stop = True
        watcher.backend.stop(watcher.id, "Stopped from the terminal.")

    def _ask(self) -> str:
        """What to do: stop, leave or watch."""
        if not self.watcher.interactive:
            return "leave"
        with _paused(self.watcher.live):
            while True:
                sys.stderr.write(_QUESTION.format(what=self.watcher.what))
                sys.stderr.flush()
                answer = sys.stdin.readline()
                self._handled = self.interrupts.count = 0
                match answer.strip().lower()[:1]:
                    case "s":
                        return "stop"
                    case "w":
                        return "watch"
                    case "l":
                        return "leave"
                    case _ if not answer:  # the terminal is gone
                        return "leave"


class _Interrupts:
    """Counts Ctrl-C and SIGTERM. With ``at_once``, the second is raised where it comes: a call may hang."""

    def __init__(self, *, at_once: bool) -> None:
        self.count = 0
        self._at_once = at_once
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._at_once and self.count > 1:
            raise KeyboardInterrupt


def _paused(live: Live | None) -> AbstractContextManager[object]:
    return nullcontext() if live is None else _Paused(live)


class _Paused:
    """A live picture that leaves the terminal to a question."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def __enter__(self) -> None:
        self._live.stop()

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._live.start()


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
