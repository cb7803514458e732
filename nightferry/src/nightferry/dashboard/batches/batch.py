"""Groups of starts that take longer than a request: the retry of a group of failures, and a backfill.

A batch works in a thread of its own, with a backend of its own, and pages show its progress. It ends with this process.
That loses nothing: what it has started continues, and the same form leaves out what was started before.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from typing import Literal

from nightferry.audit.recording import Recorder
from nightferry.backend.actions import ActionName
from nightferry.backend.interface import Backend
from nightferry.clock import Clock
from nightferry.contract import Privacy
from nightferry.errors import NightferryError
from nightferry.job.error_facts import get_type_name
from nightferry.presentation.letter_ids import make_letter_id

MOST_RUNNING = 3
_KEPT = 50
_QUICK_SECONDS = 1.5  # in which a short batch ends before the response

RowState = Literal["queued", "open", "succeeded", "started", "skipped", "failed"]

_log = logging.getLogger("nightferry.dashboard")


class TooManyBatches(NightferryError):
    """Several groups of starts are in progress. Wait until one has ended, or stop one."""


@dataclass
class Row:
    """One start of a batch. ``path`` is the page of its run or execution, below the environment."""

    name: str
    state: RowState = "queued"
    text: str = ""
    path: str = ""


@dataclass(frozen=True)
class Order:
    """Who requested a batch, and why. ``back`` is the page with the form."""

    action: ActionName
    target: str
    title: str
    back: str
    author: str
    reason: str


class Batch(ABC):
    """A group of starts. ``rows`` grow and change while it works; a page reads them from another thread."""

    def __init__(self, order: Order, rows: Sequence[Row]) -> None:
        self.id = make_letter_id(16)
        self.order = order
        self.rows = list(rows)
        self.started_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.problem = ""
        """Why it ended early, or what it waits for."""
        self.stopping = threading.Event()
        self._ended = threading.Event()

    @abstractmethod
    def work(self, backend: Backend) -> None:
        """Make the starts, in order, until all have been made or ``stopping`` is set."""

    @abstractmethod
    def describe(self) -> str:
        """Return the result so far in a sentence."""

    def list_started(self) -> list[str]:
        """Return the IDs of the runs and executions that the batch has started or continued."""
        return [row.path.rpartition("/")[2] for row in self.rows if row.path and row.state != "skipped"]

    @property
    def is_running(self) -> bool:
        """Return True until the batch has ended."""
        return self.ended_at is None

    def count(self, *states: RowState) -> int:
        """Return the number of rows in one of these states."""
        return sum(row.state in states for row in self.rows)

    def wait(self, seconds: float = _QUICK_SECONDS) -> bool:
        """Wait for the end for a moment. Return True if the batch has ended."""
        return self._ended.wait(seconds)

    def run(self, open_backend: Callable[[], Backend], privacy: Privacy, clock: Clock) -> None:
        """Work, and record the result of a batch that was not quick: the request's record has none of it."""
        slow = threading.Event()
        timer = threading.Timer(_QUICK_SECONDS, slow.set)
        timer.daemon = True
        timer.start()
        try:
            backend = open_backend()
            self.work(backend)
        except NightferryError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"It failed ({get_type_name(error)}). The log of this server has the details."
            _log.exception("A group of starts failed.", extra={"event": "batch_failed"})
        finally:
            timer.cancel()
            self.ended_at = clock.now()
            self._ended.set()
        if slow.is_set():
            try:
                order = self.order
                recorder = Recorder(backend, order.author, "dashboard", privacy, clock)
                with recorder.record(order.action, order.target, f"Result of: {order.reason}") as outcome:
                    outcome.text, outcome.ids = self.describe(), self.list_started()
            except Exception:
                _log.exception("The result of a group of starts was not recorded.", extra={"event": "batch_failed"})


class Batches:
    """The batches of a site: a few at once, and the last ones that have ended.

    ``open_backend`` returns the backend of the current thread. The threads stay, because backends belong to them.
    """

    def __init__(self, open_backend: Callable[[], Backend], privacy: Privacy, clock: Clock) -> None:
        self._open_backend = open_backend
        self._privacy = privacy
        self._clock = clock
        self._lock = threading.Lock()
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._waiting: SimpleQueue[Batch] = SimpleQueue()
        self._threads = 0

    def start(self, batch: Batch) -> None:
        """Begin the work of a batch; raises TooManyBatches."""
        with self._lock:
            if sum(one.is_running for one in self._batches.values()) >= MOST_RUNNING:
                raise TooManyBatches(
                    f"{MOST_RUNNING} groups of starts are in progress. Wait until one has ended, or stop one."
                )
            for id in [id for id, one in self._batches.items() if not one.is_running][: len(self._batches) - _KEPT + 1]:
                del self._batches[id]
            self._batches[batch.id] = batch
            if self._threads < MOST_RUNNING:
                self._threads += 1
                threading.Thread(target=self._work, name="batch", daemon=True).start()
        batch.started_at = self._clock.now()
        self._waiting.put(batch)

    def _work(self) -> None:
        while True:
            self._waiting.get().run(self._open_backend, self._privacy, self._clock)

    def get(self, id: str) -> Batch | None:
        """Return a batch, or None if this process does not know it."""
        with self._lock:
            return self._batches.get(id)
