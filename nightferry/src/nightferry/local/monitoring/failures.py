"""The engine's log of failures: each run and execution that failed, with its cause."""

from __future__ import annotations

import logging

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.log_lines import LAST_LINES, find_last_error
from nightferry.local.store import RunRecord, Store

_log = logging.getLogger("nightferry.engine")


class FailureLog:
    """Logs failures as they happen. ``nightferry up`` prints them above its display."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run_ended(self, record: RunRecord) -> None:
        """Log a run that failed. A run that somebody stopped did not."""
        run = record.run
        if run.succeeded or run.stopped_by_user:
            return
        outcome = f"ended with exit code {run.exit_code}" if run.exit_code is not None else "did not end normally"
        reason = find_last_error(self._store.last_lines(run.id, LAST_LINES), run.stopped_at) or run.reason
        _log.error(
            "Task '%s' %s: %s See: nightferry logs %s", run.task, outcome, end_sentence(reason), run.id[:12],
            extra={"event": "run_failed", "id": run.id, "task": run.task, "exit_code": run.exit_code},
        )  # fmt: skip

    def execution_failed(self, execution: WorkflowExecution, step: str | None) -> None:
        """Log an execution that failed, timed out or was stopped."""
        _log.error(
            "Workflow '%s' %s%s: %s See: nightferry status %s",
            execution.workflow, execution.status.lower().replace("_", " "), f" at step '{step}'" if step else "",
            end_sentence(execution.error), execution.id,
            extra={"event": "execution_failed", "id": execution.id, "workflow": execution.workflow,
                   "status": execution.status, "step": step},
        )  # fmt: skip


def end_sentence(text: str | None) -> str:
    """Return a reason that ends like a sentence, because another one follows."""
    text = (text or "no reason was recorded").strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
