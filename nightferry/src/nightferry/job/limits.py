"""Ends a process that was asked to stop or that ran for too long, even one that does not react.

::

    SIGTERM      → Stopped in the main thread           → cleanup → exit 143     25 s later: exit 143 the hard way
    time limit   → TimeLimitReached in the main thread  → cleanup → exit 124     10 s later: exit 124 the hard way

A main thread that waits in C code gets no exception; a thread of ours then ends the process. Where C code holds the
interpreter's lock too, no Python thread runs any more; a timer of the C library then calls ``_exit`` itself.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
from types import FrameType

from nightferry.contract import ExitCode
from nightferry.job.errors import Stopped, TimeLimitReached
from nightferry.job.tracebacks import stack_text

STOP_GRACE = 25.0
"""Seconds for cleanup after SIGTERM; ECS sends SIGKILL after 30."""
LIMIT_GRACE = 10.0
"""Seconds for cleanup after the time limit."""
LAST_GRACE = 5.0
"""Seconds after which, the time limit's other measures having failed, the C library ends the process."""
EXIT_GRACE = 10.0
"""Seconds for threads and exit handlers to end once the job itself has ended."""

_log = logging.getLogger("nightferry.job")


class Limits:
    """Watches one process: what asks it to stop, and whether it does."""

    def __init__(self, time_limit: float | None, stop_requested: threading.Event) -> None:
        self.time_limit = time_limit
        self.stop_requested = stop_requested
        self.reason: type[Stopped] | None = None
        self._body_runs = False
        self._raised = False
        self._timers: list[threading.Timer] = []

    def start(self) -> None:
        """Handle signals from now on, and start the clock. Must be called in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)
        if self.time_limit is not None:
            self._after(self.time_limit, self._time_is_up)
            _exit_without_python_after(self.time_limit + LIMIT_GRACE + LAST_GRACE, ExitCode.TIME_LIMIT)

    def stop(self, reason: type[Stopped], grace: float) -> None:
        """Ask the main thread to stop for ``reason``; after ``grace`` seconds end the process. From any thread."""
        if self.reason is None:
            self.reason = reason
            self.stop_requested.set()
            self._after(grace, lambda: exit_now(reason.exit_code, "cleanup took too long"))
            os.kill(os.getpid(), signal.SIGALRM)  # wakes the main thread out of a system call

    def body_ends(self) -> None:
        """From here on nothing is raised in the main thread any more."""
        self._raised = True

    def process_ends(self, code: int) -> None:
        """The job has ended with ``code``; a thread or an exit handler must not keep the process for long."""
        self._raised = True
        for timer in self._timers:
            timer.cancel()
        self._after(EXIT_GRACE, lambda: os._exit(code))

    def _after(self, seconds: float, action: object) -> None:
        assert callable(action)
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.reason is None:
            _log.warning("asked to stop", extra={"event": "stopping", "signal": signal.Signals(number).name})
            self.stop(Stopped, STOP_GRACE)

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        if self.reason is not None and not self._raised:
            self._raised = True
            raise self.reason

    def _time_is_up(self) -> None:
        main = sys._current_frames().get(threading.main_thread().ident or 0)
        _log.error(
            "time limit reached after %g s; the job is stopped",
            self.time_limit,
            extra={"event": "time_limit", "where": stack_text(main).splitlines()[-12:] if main else None},
        )
        self.stop(TimeLimitReached, LIMIT_GRACE)


def exit_now(code: int, reason: str) -> None:
    """End the process at once, without cleanup."""
    _log.critical("process ended the hard way: %s", reason, extra={"event": "killed", "exit_code": int(code)})
    os._exit(code)


# ── without Python ────────────────────────────────────────────────────────────────────────────────────────────


class _SignalEvent(ctypes.Structure):
    """``struct sigevent`` of Linux's C libraries, with a function to call in a thread of the library's own."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_byte * 32),
    )


class _TimerValue(ctypes.Structure):
    """``struct itimerspec``: repeat and first expiry, each in seconds and nanoseconds."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("repeat_s", "repeat_ns", "first_s", "first_ns"))


_SIGEV_THREAD = 2
_CLOCK_MONOTONIC = 1


def _exit_without_python_after(seconds: float, code: int) -> None:
    """Let the C library call ``_exit(code)`` after so many seconds: the last resort, which nothing can hold up."""
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "timer_create"):
        return
    event = _SignalEvent(value=code, notify=_SIGEV_THREAD, function=ctypes.cast(library._exit, ctypes.c_void_p).value)
    timer = ctypes.c_void_p()
    value = _TimerValue(first_s=int(seconds), first_ns=int(seconds % 1 * 1e9))
    if library.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)) == 0:
        library.timer_settime(timer, 0, ctypes.byref(value), None)
