"""End a process after SIGTERM or its time limit, even if it does not respond.

::

    SIGTERM      → Stopped in the main thread           → cleanup → exit 143     after 25 s: killed, exit 143
    time limit   → TimeLimitReached in the main thread  → cleanup → exit 124     after 10 s: killed, exit 124

For up to two seconds, the exception is delayed where it would prevent the cleanup: in a callback of an event loop, so
that the loop can cancel all tasks, in the entry and exit of a context manager, and in a library that could not use its
connection after it. It is raised again if the interpreter discards it, as it does in a finalizer.

A main thread that waits in C code receives no exception, so another thread ends the process after the grace period.
If the C code also holds the global interpreter lock, no Python thread can run, and the supervisor
(:mod:`nightferry.job.supervision`) kills the process instead.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any

from nightferry.contract import LogEvent
from nightferry.job.errors import Stopped, TimeLimitReached
from nightferry.job.tracebacks import format_stack

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

STOP_GRACE_SECONDS = 25.0
"""Time for cleanup after SIGTERM; ECS sends SIGKILL after 30 seconds."""
LIMIT_GRACE_SECONDS = 10.0
"""Time for cleanup after the time limit."""
LAST_GRACE_SECONDS = 5.0
"""Additional time after which the supervisor kills the process, if no Python thread has ended it."""
EXIT_GRACE_SECONDS = 10.0
"""Time for threads and exit handlers to end after the job has ended."""

_DELAY_SECONDS = 2.0
_FRAGILE_MODULES = ("psycopg.", "paramiko.packet")
_REPEAT_SECONDS = 0.15  # more than 0.1, the interval at which psycopg checks for signals

_log = logging.getLogger("nightferry.job")


class Limits:
    """Handler of the signals and the time limit of this process."""

    may_end_process = True
    """False in a test, in whose process the job runs: a job that does not respond is not killed."""

    def __init__(self, time_limit: float | None, stop_requested: threading.Event) -> None:
        self.time_limit = time_limit
        self.stop_requested = stop_requested
        self.reason: type[Stopped] | None = None
        self.raised: type[Stopped] | None = None  # ``reason``, once the main thread has received it
        self._disarmed = False
        self._delayed_until = 0.0
        self._timers: list[threading.Timer] = []
        self._handlers: dict[int, Any] = {}
        self._process = 0
        # Handled in another thread, because the main thread can hold any lock when it receives a signal.
        self._signals: SimpleQueue[int | None] = SimpleQueue()

    def start(self) -> None:
        """Install the signal handlers and start the time limit. Must be called in the main thread."""
        self._process = os.getpid()
        self._handlers = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._on_signal),
            signal.SIGINT: signal.signal(signal.SIGINT, self._on_signal),
            signal.SIGALRM: signal.signal(signal.SIGALRM, self._on_alarm),
        }
        self._discard, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        threading.Thread(target=self._handle_signals, name="signals", daemon=True).start()
        if self.time_limit is not None:
            self._run_after(self.time_limit, self.end_time)

    def stop(self, reason: type[Stopped], grace: float) -> None:
        """Raise ``reason`` in the main thread, and kill the process after ``grace`` seconds.

        It may be called from any thread.
        """
        if self.reason is None:
            self._delayed_until = time.monotonic() + _DELAY_SECONDS
            self.reason = reason
            self.stop_requested.set()
            if self.may_end_process:
                self._run_after(grace, lambda: exit_now(reason.exit_code, "cleanup exceeded its grace period"))
            self._interrupt_main_thread()
            threading.Thread(target=self._interrupt_until_end, name="stop", daemon=True).start()

    def disarm(self) -> None:
        """Raise no exception in the main thread from now on."""
        self._disarmed = True

    def schedule_exit(self, code: int) -> None:
        """Exit with ``code`` after a grace period, even if a thread or an exit handler is still running."""
        self._cancel_timers()
        for number in self._handlers:  # The end of the interpreter resets its handlers, but not an ignored signal.
            signal.signal(number, signal.SIG_IGN)
        self._run_after(EXIT_GRACE_SECONDS, lambda: os._exit(code))

    def end(self) -> None:
        """Restore the signal handlers of the process, which continues without the job."""
        self._cancel_timers()
        if self._handlers:
            sys.unraisablehook = self._discard
            self._signals.put(None)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def end_time(self) -> None:
        """End the job, because its time limit is reached."""
        main = sys._current_frames().get(threading.main_thread().ident or 0)
        _log.error(
            "time limit of %g s reached; stopping the job",
            self.time_limit,
            extra={"event": "time_limit", "where": format_stack(main).splitlines()[-12:] if main else None},
        )
        self.stop(TimeLimitReached, LIMIT_GRACE_SECONDS)

    def _cancel_timers(self) -> None:
        self._disarmed = True
        for timer in self._timers:
            timer.cancel()

    def _run_after(self, seconds: float, action: object) -> None:
        assert callable(action)
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a process that the job has forked, without the thread that handles signals
            raise Stopped
        self._signals.put(number)

    def _handle_signals(self) -> None:
        while (number := self._signals.get()) is not None:
            if self.reason is None:
                _log.warning("stop requested", extra={"event": "stopping", "signal": signal.Signals(number).name})
                self.stop(Stopped, STOP_GRACE_SECONDS)

    def _interrupt_main_thread(self) -> None:
        """Let the main thread call :meth:`_on_alarm`, also while it waits in a system call."""
        if self.raised is None and not self._disarmed:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def _interrupt_until_end(self) -> None:
        while not self._disarmed:
            time.sleep(_REPEAT_SECONDS)
            self._interrupt_main_thread()

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if self.reason is None:  # not ours: of a test's own time limit, in whose process the job runs
            before = self._handlers.get(signal.SIGALRM)
            if callable(before):
                before(number, frame)
        elif time.monotonic() >= self._delayed_until:
            self._raise()
        elif (loop := asyncio._get_running_loop()) is not None:
            loop.call_soon_threadsafe(self._raise)
        elif not _is_fragile(frame):
            self._raise()

    def _raise(self) -> None:
        if self.reason is not None and self.raised is None and not self._disarmed:
            self.raised = self.reason
            raise self.reason

    def _on_unraisable(self, unraisable: UnraisableHookArgs) -> None:
        """Handle an exception that the interpreter discards. One of ours must be raised again."""
        if isinstance(unraisable.exc_value, Stopped):
            self.raised = None
        else:
            self._discard(unraisable)


def _is_fragile(frame: FrameType | None) -> bool:
    """Return True if ``frame`` runs code that leaves a resource behind, or a connection unusable, after an exception.

    ``Connection.wait`` of psycopg, in which a job waits for the server, handles an interruption.
    """
    if frame is not None and (frame.f_code.co_name in ("__enter__", "__exit__") or _get_module(frame) == "contextlib"):
        return True
    caller = frame
    while caller is not None:
        if _get_module(caller).startswith(_FRAGILE_MODULES):
            return caller is not frame or caller.f_code.co_name != "wait"
        caller = caller.f_back
    return False


def _get_module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def exit_now(code: int, reason: str) -> None:
    """Exit at once, without cleanup."""
    _log.critical("process killed: %s", reason, extra={"event": LogEvent.KILLED, "exit_code": int(code)})
    os._exit(code)
