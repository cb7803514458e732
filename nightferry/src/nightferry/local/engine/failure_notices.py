"""Failure notices: the notification that a workflow declares with ``on_failure``, for each execution that failed.

On AWS, :mod:`nightferry.lambdas.failure_notice` publishes the notice after the execution's end. Here the end of the
execution records that its notice is due, in the same transaction, and the engine then adds the notification once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.states.causes import explain_cause, find_failed_step
from nightferry.catalog.catalog import Catalog
from nightferry.contract import was_replaced
from nightferry.job.redaction import Redactor
from nightferry.local.runs import arns
from nightferry.local.store import HistoryDamaged, Store
from nightferry.states.machine.history import HistoryEvent

_ENDS = ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted")


class FailureNotices:
    """The notices of the catalog's workflows. ``resolve`` substitutes references."""

    def __init__(self, store: Store, catalog: Catalog, resolve: Callable[[Any], Any]) -> None:
        self.on_failure: Callable[[WorkflowExecution, str | None], None] = lambda _execution, _step: None
        """Called with each execution that failed and its step."""
        self._store = store
        self._catalog = catalog
        self._resolve = resolve

    def add_due(self) -> None:
        """Add the notifications of all executions that have failed. One that a newer one replaced has not failed."""
        for execution in self._store.executions_with_notice_due():
            if was_replaced(execution.status, execution.cause):
                self._store.mark_notice_added(execution.id)
                continue
            try:
                history = self._store.events(execution.id)
            except HistoryDamaged as damage:
                history = damage.readable
            step = find_failed_step(history)
            with self._store.transaction():
                self._add(execution, history, step)
                self._store.mark_notice_added(execution.id)
            self.on_failure(execution, step)

    def _add(self, execution: WorkflowExecution, history: list[HistoryEvent], step: str | None) -> None:
        workflow = self._catalog.workflows.get(execution.workflow)
        if workflow is None or workflow.on_failure is None:
            return
        message = workflow.on_failure.message
        self._store.add_notification(
            # One for each failure: a redrive can fail again.
            f"failure-notice:{execution.id}:{sum(event.type in _ENDS for event in history)}",
            workflow.on_failure.topic.name,
            self._resolve(workflow.failure_subject)[:100],
            self._resolve(message) if message is not None else self._format_message(execution, step),
            execution.id,
        )

    def _format_message(self, execution: WorkflowExecution, step: str | None) -> str:
        redact = Redactor(self._catalog.privacy).redact_text
        environment, cause = self._resolve("${environment}"), execution.cause
        return json.dumps(
            {
                "workflow": execution.workflow,
                "environment": environment,
                "execution": arns.make_execution_arn(execution.workflow, execution.id),
                "status": execution.status,
                "step": step,
                "error": None if execution.error is None else redact(execution.error),
                "cause": None if cause is None else redact(explain_cause(cause)),
                "command": f"nightferry status {execution.id} --env {environment}",
                "link": None,
            },
            ensure_ascii=False,
        )
