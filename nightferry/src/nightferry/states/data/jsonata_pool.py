"""Worker processes that evaluate JSONata expressions, so that no expression can block or kill the engine.

A worker starts when it is needed, and serves one expression at a time. It ends with this process, also if that is
killed: its standard input ends, and during an evaluation it observes its parent.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from nightferry.errors import NightferryError
from nightferry.states.data import jsonata_worker

_WORKERS = 4  # processes that evaluate at the same time; other evaluations wait
_TIME_LIMIT_SECONDS = 5.0  # of one evaluation
_GRACE_SECONDS = 1.0  # after the time limit, which the library does not check in every function
_START_SECONDS = 60.0  # of a worker on a busy machine; an expression's time begins afterward
_READ_BYTES = 1 << 20

# How a worker ends that an expression has exhausted: its own exit code, a failed allocation, an overflow of the stack.
_EXHAUSTED = {jsonata_worker.MEMORY_EXIT_CODE, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGTRAP}


class OutOfTime(Exception):
    """The expression needs too much time."""


class OutOfMemory(Exception):
    """The expression needs too much memory."""


class WorkerFailed(NightferryError):
    """The program that evaluates JSONata expressions cannot run. Run it by hand to see the reason."""


class WorkerPool:
    """At most ``size`` worker processes, and the time limit of an evaluation. Any thread may use it."""

    def __init__(self, size: int = _WORKERS, seconds: float = _TIME_LIMIT_SECONDS) -> None:
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(size)
        self._idle: list[_Worker] = []

    def evaluate(self, request: dict[str, Any]) -> str:
        """Return the response of a worker to a request. Raises OutOfTime, OutOfMemory or WorkerFailed."""
        line = json.dumps(request | {"seconds": self._seconds}).encode() + b"\n"
        with self._free:
            killed = False
            while True:
                worker = self._take()
                response = worker.exchange(line, self._seconds + _GRACE_SECONDS)
                if response is not None:
                    self._idle.append(worker)
                    return response
                code = worker.close()
                if code in _EXHAUSTED or killed:
                    raise OutOfMemory
                if code > 0:
                    command = f"{sys.executable} {jsonata_worker.__file__}"
                    raise WorkerFailed(f"The worker for JSONata expressions ended with exit code {code}: {command}.")
                killed = code < 0  # by somebody else, or by Linux for lack of memory; an idle worker ends with code 0

    def close(self) -> None:
        """End the idle workers."""
        while self._idle:
            self._idle.pop().close()

    def forget(self) -> None:
        """Forget all workers, in a child process, because they belong to its parent."""
        self.__init__()  # type: ignore[misc]

    def _take(self) -> _Worker:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        return _Worker()


class _Worker:
    """A worker process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", jsonata_worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # An interrupt from the terminal ends this process, and therefore the worker.
        )
        try:
            self._read(time.monotonic() + _START_SECONDS)
        except OutOfTime:
            raise WorkerFailed(f"The worker for JSONata expressions did not start in {_START_SECONDS:.0f} s.") from None

    def exchange(self, line: bytes, seconds: float) -> str | None:
        """Send a request, and return the response, or None if the process has ended. Raises OutOfTime."""
        assert self._process.stdin is not None
        try:
            unsent = memoryview(line)
            while unsent:
                unsent = unsent[self._process.stdin.write(unsent) :]
        except BrokenPipeError:
            return None
        received = self._read(time.monotonic() + seconds)
        return None if received is None else received.decode()

    def _read(self, deadline: float) -> bytes | None:
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLIN)
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                self._process.kill()
                self.close()
                raise OutOfTime
            parts.append(os.read(output, _READ_BYTES))
            if not parts[-1]:
                return None
        return b"".join(parts)[:-1]

    def close(self) -> int:
        """End the process, and return its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait()


POOL = WorkerPool()
"""The workers of this process."""

atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.forget)
