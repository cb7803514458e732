"""Writing of the feed files.

Object stores have a high latency but handle many concurrent requests, so several threads write the files. On a disk,
threads that create files in one folder would only wait for its lock. There the thread of the pass writes the files,
except those of large employers, whose rows arrive in parts.

Each file becomes visible only when it is complete. If a file fails, its remaining rows are skipped and the export
continues with the next employer. Memory usage is bounded by the number of concurrent files and of waiting parts per
file.
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

from nightferry import JobFailed, describe_error
from paidleave.fineos.eligibility_feed.feed_format import build_header
from paidleave.fineos.eligibility_feed.rows import Part

_MAX_WAITING_PARTS = 4  # per file
_MAX_PENDING_FILES = 2  # per thread

FAILURES_IN_A_ROW = 20
"""The export ends after this many consecutive failed files, because then the output location is the cause."""

WriteFile = Callable[[str, Iterable[bytes]], None]
"""Writes a file, given by its URI, from chunks. The file is visible only when complete."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """The result of writing a file. ``error`` is the kind of error without personal data, or None."""

    fineos_employer_id: int
    records: int
    error: str | None


class OutputFailed(JobFailed):
    """Files cannot be written. Check that OUTPUT_DIRECTORY_PATH exists, is writable and has free space."""


class _Canceled(Exception):
    """Makes a writer abort its file."""


class Delivery:
    """Writes files concurrently and calls ``done`` with the result of each in the order of the files.

    ``done`` is called in the thread that uses the delivery. The end of the context waits for all files, or aborts the
    incomplete ones after an exception.
    """

    def __init__(
        self, write: WriteFile, threads: int, done: Callable[[DeliveredFile], object], *, write_inline: bool = False
    ) -> None:
        """Create a delivery. ``write_inline`` writes files that consist of one part in the calling thread."""
        self._write = write
        self._done = done
        self._write_inline = write_inline
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="feed")
        self._slots = BoundedSemaphore(threads * _MAX_PENDING_FILES)
        self._pending: deque[Future[DeliveredFile]] = deque()
        self._open: Queue[bytes | _Canceled | None] | None = None
        self._failed_in_a_row = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._wait_for_all()
        finally:
            if self._open is not None:
                self._open.put(_Canceled())
            self._pool.shutdown(wait=True, cancel_futures=True)

    def put(self, part: Part, uri: str) -> None:
        """Accept the next rows of the file ``uri``. Wait while the maximum number of files is pending."""
        if part.first and part.last:
            whole = [build_header(part.fineos_employer_id, part.records) + part.rows]
            if self._write_inline:
                self._wait_for_all()  # A large file can still be pending.
                self._finish(self._write_file(part, uri, whole))
            else:
                self._submit(part, uri, whole)
        elif part.first:
            self._open = Queue(_MAX_WAITING_PARTS)
            self._submit(part, uri, _receive_chunks(self._open))
            self._open.put(build_header(part.fineos_employer_id, part.records))
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
        future = self._pool.submit(self._write_file, part, uri, chunks)
        future.add_done_callback(lambda _: self._slots.release())
        self._pending.append(future)

    def _wait_for_all(self) -> None:
        """Wait for all pending files."""
        while self._pending:
            self._finish(self._pending.popleft().result())

    def _finish(self, delivered: DeliveredFile) -> None:
        self._done(delivered)
        self._failed_in_a_row = self._failed_in_a_row + 1 if delivered.error else 0
        if self._failed_in_a_row == FAILURES_IN_A_ROW:
            raise OutputFailed(
                f"{FAILURES_IN_A_ROW} files in a row could not be written. Last error: {delivered.error}. "
                "Check that OUTPUT_DIRECTORY_PATH exists, is writable and has free space."
            )

    def _write_file(self, part: Part, uri: str, chunks: Iterable[bytes]) -> DeliveredFile:
        error: str | None = None
        try:
            self._write(uri, chunks)
        except _Canceled:
            error = "Canceled"
        except Exception as failure:
            error = format_error_kind(failure)
            _log.error(
                "eligibility file not written",
                extra={
                    "fineos_employer_id": part.fineos_employer_id,
                    "error": error,
                    "reason": describe_error(failure),
                },
            )
            for _ in _drain(chunks):  # The pass blocks until the remaining rows are consumed.
                pass
        return DeliveredFile(part.fineos_employer_id, part.records, error)


def format_error_kind(error: BaseException) -> str:
    """Return the kind of error without personal data: its class, and the system's error number if it has one."""
    number = getattr(error, "errno", None)
    return f"{type(error).__name__} {number}" if isinstance(number, int) else type(error).__name__


def _receive_chunks(queue: Queue[bytes | _Canceled | None]) -> Iterator[bytes]:
    while (chunk := queue.get()) is not None:
        if isinstance(chunk, _Canceled):
            raise chunk
        yield chunk


def _drain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except _Canceled:
        return
