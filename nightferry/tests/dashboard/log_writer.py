"""A running run whose log grows at a rate."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.store import now
from nightferry.local.store.times import format_time

RUN = "cd" * 16
RATE = 1000  # lines per second


class Writer:
    """Writes lines of a running run in a thread, in batches like the engine."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.written = 0
        self._backend = self._open()
        self._backend.store.add_run(RUN, "hello", [], {})
        begun = format_time(now() - timedelta(seconds=1))
        self._backend.store._db.execute("UPDATE run SET status = 'RUNNING', started_at = ?", (begun,))

    def _open(self) -> LocalBackend:
        return LocalBackend(self._project, self._project.environment("local"))

    def write(self, lines: int) -> None:
        """Write some lines at once."""
        self._write(self._backend, lines)

    def _write(self, backend: LocalBackend, lines: int) -> None:
        first = self.written + 1
        backend.store.add_lines([(RUN, f"line {n}") for n in range(first, first + lines)])
        self.written += lines

    def run(self, seconds: float) -> None:
        """Write lines at the rate in another thread until it has ended."""

        def work() -> None:
            backend = self._open()
            began = time.monotonic()
            while self.written < seconds * RATE:
                if self.written < (time.monotonic() - began) * RATE:
                    self._write(backend, RATE // 20)
                else:
                    time.sleep(0.01)
            backend.store.close()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    def stop(self) -> None:
        """End the run."""
        self._backend.store.mark_run_stopped(RUN, 0, "EssentialContainerExited", None)
