"""Writing the files: on a few threads, because an object store answers slowly but to many at once.

A disk answers at once, and threads that make files in one folder only wait for its lock and for each other: there,
files are written in the thread of the pass, all but those of large employers, whose rows come in parts.

The pass hands over parts of rows; each file becomes visible only when it is complete. A file that fails fails alone:
its remaining rows are passed over and the next employer's file is written. Memory stays bounded: so many files in
flight, so many parts waiting for each.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue
from threading import BoundedSemaphore
from types import TracebackType
from typing import Self

from nightferry.job import JobFailed, describe
from paidleave.fineos.eligibility_feed.feed_format import head
from paidleave.fineos.eligibility_feed.rows import Part

_PARTS_WAITING = 4
_FILES_WAITING = 2  # per thread

FAILURES_IN_A_ROW = 20
"""After so many failed files without a written one, the place itself is at fault and the export ends."""

WriteFile = Callable[[str, Iterable[bytes]], None]
"""Writes a file (by its URI) from chunks; it is visible only as a whole."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a file; ``error`` names the kind of error and nothing personal."""

    fineos_employer_id: int
    records: int
    error: str | None


class OutputFailed(JobFailed):
    """No file can be written. Check that OUTPUT_DIRECTORY_PATH exists, is writable and has space left."""


class _Cancelled(Exception):
    """Makes a writer give its file up."""


class Delivery:
    """Writes files side by side and calls ``done`` with each when it is written or failed, in the order of the files.

    ``done`` is called in the thread that uses the delivery. Leaving the context waits for all files; after an
    exception it gives up those that are not complete.
    """

    def __init__(
        self, write: WriteFile, threads: int, done: Callable[[Delivered], object], *, at_once: bool = False
    ) -> None:
        """``at_once``: a file that is there as a whole is written at once and not on a thread."""
        self._write = write
        self._done = done
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="feed")
        self._slots = BoundedSemaphore(threads * _FILES_WAITING)
        self._pending: deque[Future[Delivered]] = deque()
        self._open: Queue[bytes | _Cancelled | None] | None = None
        self._failed_in_a_row = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._settle()
        finally:
            if self._open is not None:
                self._open.put(_Cancelled())
            self._pool.shutdown(wait=True, cancel_futures=True)

    def put(self, part: Part, uri: str) -> None:
        """Take the next rows of the file ``uri``. Waits while enough files are in flight."""
        if part.first and part.last:
            whole = [head(part.fineos_employer_id, part.records), part.rows]
            if self._at_once:
                self._settle()  # the end of a large one
                self._finish(self._deliver(part, uri, whole))
            else:
                self._submit(part, uri, whole)
        elif part.first:
            self._open = Queue(_PARTS_WAITING)
            self._submit(part, uri, _received(self._open))
            self._open.put(head(part.fineos_employer_id, part.records))
            self._open.put(part.rows)
        elif self._open is not None:
            self._open.put(part.rows)
            if part.last:
                self._open.put(None)
                self._open = None
        while self._pending and self._pending[0].done():
            self._finish(self._pending.popleft().result())

    def _submit(self, part: Part, uri: str, chunks: Iterable[bytes]) -> None:
        self._slots.acquire()
        future = self._pool.submit(self._deliver, part, uri, chunks)
        future.add_done_callback(lambda _: self._slots.release())
        self._pending.append(future)

    def _settle(self) -> None:
        """Wait for all files in flight."""
        while self._pending:
            self._finish(self._pending.popleft().result())

    def _finish(self, delivered: Delivered) -> None:
        self._done(delivered)
        self._failed_in_a_row = self._failed_in_a_row + 1 if delivered.error else 0
        if self._failed_in_a_row == FAILURES_IN_A_ROW:
            raise OutputFailed(
                f"{FAILURES_IN_A_ROW} files in a row could not be written, the last because of {delivered.error}. "
                "Check that OUTPUT_DIRECTORY_PATH exists, is writable and has space left."
            )

    def _deliver(self, part: Part, uri: str, chunks: Iterable[bytes]) -> Delivered:
        error: str | None = None
        try:
            self._write(uri, chunks)
        except _Cancelled:
            error = "Cancelled"
        except Exception as failure:
            error = error_kind(failure)
            _log.error(
                "eligibility file not written",
                extra={"fineos_employer_id": part.fineos_employer_id, "error": error, "reason": describe(failure)},
            )
            for _ in _quietly(chunks):  # the pass waits for somebody to take the rows
                pass
        return Delivered(part.fineos_employer_id, part.records, error)


def error_kind(error: BaseException) -> str:
    """The kind of error without anything personal: its class, and the system's error number where it has one."""
    number = getattr(error, "errno", None)
    return f"{type(error).__name__} {number}" if isinstance(number, int) else type(error).__name__


def _received(queue: Queue[bytes | _Cancelled | None]) -> Iterator[bytes]:
    while (chunk := queue.get()) is not None:
        if isinstance(chunk, _Cancelled):
            raise chunk
        yield chunk


def _quietly(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except _Cancelled:
        return
