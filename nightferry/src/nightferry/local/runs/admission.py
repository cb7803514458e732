"""Whose turn it is: runs start in the order in which they were asked for, as far as the limits let them.

A run whose task is at its limit is passed over, and keeps its place. However many wait, only those that start are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nightferry.catalog.catalog import Catalog
from nightferry.local.store import RunRecord, Store


class Admission:
    """Picks queued runs from the store; ``limit`` is how many may run at once."""

    def __init__(self, store: Store, catalog: Catalog, limit: int) -> None:
        self._store = store
        self._catalog = catalog
        self._limit = limit
        self._active: dict[str, tuple[str, bool]] = {}

    @property
    def active(self) -> int:
        """How many runs were let in and have not left."""
        return len(self._active)

    def admit(self) -> Iterator[RunRecord]:
        """The runs that may start now. Each counts from when it is answered until :meth:`release`."""
        while len(self._active) < self._limit:
            counts = Counter(task for task, _ in self._active.values())
            alone = {task for task, alone in self._active.values() if alone}
            heads = self._store.queue_heads()
            turn = next((head for head in heads if self._may_start(head.task, head.alone, counts, alone)), None)
            if turn is None:
                return
            record = self._store.run(turn.id)
            assert record is not None
            self._store.mark_run_pending(record.run.id)
            self._active[record.run.id] = (record.run.task, record.run.execution is None)
            yield record

    def release(self, run: str) -> None:
        """A run has ended."""
        self._active.pop(run, None)

    def _may_start(self, task: str, alone: bool, counts: Counter[str], working_alone: set[str]) -> bool:
        declared = self._catalog.tasks.get(task)
        if declared is None:
            return True  # its start says so
        if alone and declared.overlap == "queue" and task in working_alone:
            return False  # it would only wait for the other's lease, and take somebody's place meanwhile
        return declared.concurrency is None or counts[task] < declared.concurrency
