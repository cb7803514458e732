"""Admission of queued runs and waiting executions: they start in the order of their requests, subject to the limits.

A run whose task is at its limit waits and keeps its position; others may overtake it. The same applies to an execution
whose workflow does not allow several at once. Only runs and executions that start are read from the store, however many
wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nightferry.backend.executions import WorkflowExecution
from nightferry.catalog.catalog import Catalog
from nightferry.local.store import RunRecord, Store


class Admission:
    """Admission of queued runs from the store. ``limit`` is the maximum number of concurrent runs."""

    def __init__(self, store: Store, catalog: Catalog, limit: int) -> None:
        self._store = store
        self._catalog = catalog
        self._limit = limit
        self._active: dict[str, tuple[str, bool]] = {}

    @property
    def active(self) -> int:
        """Return the number of admitted runs that have not been released."""
        return len(self._active)

    def admit(self) -> Iterator[RunRecord]:
        """Yield the runs that may start now. Each counts as active until :meth:`release`."""
        while len(self._active) < self._limit:
            counts = Counter(task for task, _ in self._active.values())
            alone = {task for task, alone in self._active.values() if alone}
            heads = self._store.queue_heads()
            first = next((head for head in heads if self._may_start(head.task, head.alone, counts, alone)), None)
            if first is None:
                return
            record = self._store.run(first.id)
            assert record is not None
            self._store.mark_run_pending(record.run.id)
            self._active[record.run.id] = (record.run.task, record.run.execution is None)
            yield record

    def release(self, run: str) -> None:
        """Release the slot of a run that has ended."""
        self._active.pop(run, None)

    def _may_start(self, task: str, alone: bool, counts: Counter[str], tasks_alone: set[str]) -> bool:
        declared = self._catalog.tasks.get(task)
        if declared is None:
            return True  # The launcher reports the missing declaration.
        if alone and declared.overlap == "queue" and task in tasks_alone:
            return False  # It would occupy a slot while it waits for the other run's lease.
        return declared.concurrency is None or counts[task] < declared.concurrency


class ExecutionAdmission:
    """Admission of waiting executions from the store. ``limit`` is the maximum number of concurrent executions.

    Executions that a parent waits for may exceed the limit; otherwise the parent might wait forever.
    """

    def __init__(self, store: Store, catalog: Catalog, limit: int) -> None:
        self._store = store
        self._catalog = catalog
        self._limit = limit
        self._active: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def admit(self) -> Iterator[WorkflowExecution]:
        """Yield the executions that may start now. Each counts as active until :meth:`release`."""
        while (id := self._find_next()) is not None:
            record = self._store.execution(id)
            assert record is not None
            self._store.mark_execution_begun(id)
            self._active[id] = record.workflow
            self._counts[record.workflow] += 1
            yield record

    def release(self, execution: str) -> None:
        """Release the slot of an execution that has ended."""
        if (workflow := self._active.pop(execution, None)) is not None:
            self._counts[workflow] -= 1

    def _find_next(self) -> str | None:
        before: set[str] = set()
        for head in self._store.waiting_heads():
            declared = self._catalog.workflows.get(head.workflow)
            if declared is not None and declared.overlap != "allow":
                if head.workflow in before or self._counts[head.workflow]:
                    continue  # It starts when the execution before it has ended.
                before.add(head.workflow)
            is_redriven = head.id in self._active  # before the engine has processed its end
            if not is_redriven and (head.awaited or len(self._active) < self._limit):
                return head.id
        return None
