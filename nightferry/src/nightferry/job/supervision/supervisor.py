"""The parent process of a job. It is the process that the engine or ECS started, and PID 1 in a container.

It forwards signals, enforces the time limit on a job that does not respond, ends what the job left running, redacts the
job's own output, and writes the last line of the log. Its memory is that of the job before its function began, shared
by copy on write.

Deadlines are enforced by an alarm signal, because writing to a standard output that nobody reads blocks the process.
"""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from nightferry.contract import ExitCode, LogEvent
from nightferry.job import limits
from nightferry.job.redaction import describe_error
from nightferry.job.supervision.channel import Channel
from nightferry.job.supervision.log import SupervisedLog
from nightferry.job.supervision.processes import (
    become_subreaper,
    die_with_parent,
    disable_core_dumps,
    hide_from_user,
    kill_descendants,
)

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_STOPS = (signal.SIGTERM, signal.SIGINT)
_HANDLED = (*_FORWARDED, signal.SIGALRM, signal.SIGCHLD)
_READ_BYTES = 64 * 1024
_GATHER_SECONDS = 0.002  # between two reads, so that a job that writes a million lines does not wake us a million times
_STOP_RESERVE_SECONDS = 3.0  # after the job's own grace period, and before ECS kills the container


@dataclass
class _Deadline:
    """The time (of ``time.monotonic``) at which the job is killed, the run's exit code then, and the reason."""

    at: float
    code: int
    reason: str


class EngineEnded(Exception):
    """The engine of this run has ended, and its task must end, too."""


class Supervisor:
    """The supervisor of one job. ``time_limit`` is in seconds."""

    def __init__(self, log: SupervisedLog, time_limit: float | None) -> None:
        self._log = log
        self._started = time.monotonic()
        self._deadline: _Deadline | None = None
        self._killed: _Deadline | None = None
        self._stop_requested = False
        self._child = 0
        self._status: int | None = None
        self._used: resource.struct_rusage | None = None
        if time_limit is not None:
            last = self._started + time_limit + limits.LIMIT_GRACE_SECONDS + limits.LAST_GRACE_SECONDS
            self._deadline = _Deadline(last, ExitCode.TIME_LIMIT, "it did not respond to its time limit")

    def start(self) -> Channel:
        """Start the job. Return its channel in the job's process; this process, the supervisor, ends in the call."""
        sys.stdout.flush()
        sys.stderr.flush()
        disable_core_dumps()
        become_subreaper()
        gc.freeze()  # the collector would otherwise copy the shared memory
        pipes = [os.pipe() for _ in range(3)]
        supervisor = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        self._child = os.fork()
        if self._child == 0:
            die_with_parent(supervisor)
            for number, (read, write) in enumerate(pipes):
                os.close(read)
                if number:
                    os.dup2(write, number)  # standard output and standard error
                    os.close(write)
            self._log.close_in_child()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            return Channel(pipes[0][1])
        hide_from_user()
        for _, write in pipes:
            os.close(write)
        self._sources = [read for read, _ in pipes]
        try:
            code = self._supervise()
        except EngineEnded:
            kill_descendants()
            code = 128 + signal.SIGKILL
        except BaseException as error:
            kill_descendants()
            self._log.write("CRITICAL", f"the supervisor of the job failed: {describe_error(error)}", {})
            code = ExitCode.FAILURE
        os._exit(code)  # exit handlers belong to the job

    def _supervise(self) -> int:
        """Supervise the job until it has ended and its output is written, and return the exit code of the run."""
        with self._handle_signals() as wakeup:
            self._schedule_alarm()
            self._copy_until_end(wakeup)
        strays = kill_descendants()
        self._copy_rest()
        code = self._determine_code()
        self._report_end(code, strays)
        return code

    # ── signals ──

    @contextmanager
    def _handle_signals(self) -> Iterator[int]:
        """Handle signals in the block; a byte is readable from the yielded descriptor after each of them."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in _FORWARDED:
            signal.signal(number, self._forward)
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        try:
            yield read
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self._send_signal(number)
        if number in _STOPS:
            self._stop_requested = True
            self._limit(limits.STOP_GRACE_SECONDS + _STOP_RESERVE_SECONDS, ExitCode.STOPPED, "it did not stop")

    def _limit(self, seconds: float, code: int, reason: str) -> None:
        """Kill the job after ``seconds``, unless an earlier time is set."""
        at = time.monotonic() + seconds
        if self._deadline is None or at < self._deadline.at:
            self._deadline = _Deadline(at, code, reason)
            self._schedule_alarm()

    def _schedule_alarm(self) -> None:
        if self._deadline is not None:
            signal.setitimer(signal.ITIMER_REAL, max(self._deadline.at - time.monotonic(), 0.001))

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        if self._deadline is None or self._status is not None:
            return
        if time.monotonic() < self._deadline.at:
            self._schedule_alarm()
            return
        self._killed = self._deadline
        self._send_signal(signal.SIGKILL)

    def _send_signal(self, number: int) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):  # it has just been collected, and its status is not yet assigned
                os.kill(self._child, number)

    # ── output ──

    def _copy_until_end(self, wakeup: int) -> None:
        poll = select.poll()
        for source in (*self._sources, wakeup):
            poll.register(source, select.POLLIN)
        if self._log.events is not None:
            poll.register(self._log.events, 0)  # reports that the reader has closed it
        while not self._has_ended():
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._log.events in ready:
                raise EngineEnded
            if wakeup in ready:
                with suppress(BlockingIOError):
                    os.read(wakeup, 4096)
            for source in self._copy(ready):
                poll.unregister(source)
            time.sleep(_GATHER_SECONDS)

    def _copy(self, ready: set[int]) -> set[int]:
        """Copy what the sources hold to the log, and return the ready sources that have ended.

        The channel is read after the output, and its messages are handled first: a secret is known before its text.
        """
        channel, *outputs = self._sources
        chunks = {source: os.read(source, _READ_BYTES) for source in outputs if source in ready}
        ended = {source for source, chunk in chunks.items() if not chunk}
        for chunk in self._read_at_most(channel, _measure_pipe(channel)):
            self._log.add_messages(chunk)
            if not chunk and channel in ready:
                ended.add(channel)
        if self._log.report is not None:
            grace = limits.EXIT_GRACE_SECONDS + limits.LAST_GRACE_SECONDS
            self._limit(grace, int(self._log.report["exit_code"]), "its process did not exit")
        for source, chunk in chunks.items():
            self._log.add_output(outputs.index(source), chunk)
        return ended

    @staticmethod
    def _read_at_most(source: int, size: int) -> Iterator[bytes]:
        """Yield what a pipe holds, up to ``size`` bytes, and an empty chunk at its end."""
        os.set_blocking(source, False)
        with suppress(BlockingIOError):
            while size > 0:
                yield (chunk := os.read(source, _READ_BYTES))
                if not chunk:
                    return
                size -= len(chunk)

    def _copy_rest(self) -> None:
        """Copy what is left in the pipes. A process that could not be killed may hold them open, and write."""
        channel, *outputs = self._sources
        for chunk in self._read_at_most(channel, _measure_pipe(channel)):
            self._log.add_messages(chunk)
        for number, source in enumerate(outputs):
            for chunk in self._read_at_most(source, _measure_pipe(source)):
                self._log.add_output(number, chunk)
        self._log.end_output()

    # ── the end ──

    def _has_ended(self) -> bool:
        """Collect the ended children. Return True if the job is one of them."""
        while self._status is None:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._child:
                self._status, self._used = status, used
        return True

    def _determine_code(self) -> int:
        assert self._status is not None
        number = os.WTERMSIG(self._status) if os.WIFSIGNALED(self._status) else None
        if self._killed is not None and number == signal.SIGKILL:
            self._log.write("CRITICAL", f"process killed: {self._killed.reason}",
                            {"event": LogEvent.KILLED, "exit_code": int(self._killed.code)})  # fmt: skip
            return int(self._killed.code)
        if number is not None:
            unexplained = number == signal.SIGKILL and not self._stop_requested
            hint = ". If it was not killed by hand, its memory was exhausted" if unexplained else ""
            self._log.write("ERROR", f"the job was ended by signal {_name_signal(number)}{hint}",
                            {"event": LogEvent.KILLED, "exit_code": 128 + number})  # fmt: skip
            return 128 + number
        return os.WEXITSTATUS(self._status)

    def _report_end(self, code: int, strays: int) -> None:
        if strays:
            self._log.write("WARNING", f"killed processes that the job had left running: {strays}",
                            {"event": "strays_killed", "count": strays})  # fmt: skip
        used = self._log.report or _summarize(self._used)
        ended: dict[str, Any] = {"event": LogEvent.ENDED, **used, "exit_code": code}
        ended["duration_seconds"] = round(time.monotonic() - self._started, 3)
        self._log.write("INFO", f"ended with exit code {code}", ended)


def _summarize(used: resource.struct_rusage | None) -> Mapping[str, Any]:
    """Return the resources of a job that could not report them itself, with its children."""
    if used is None:
        return {}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"cpu_seconds": round(used.ru_utime + used.ru_stime, 3), "peak_memory_bytes": used.ru_maxrss * unit}


def _measure_pipe(descriptor: int) -> int:
    """Return the number of bytes that a pipe can hold."""
    with suppress(OSError, AttributeError):
        return fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    return _READ_BYTES


def _name_signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return str(number)
