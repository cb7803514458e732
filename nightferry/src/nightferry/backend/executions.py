"""Executions: one start of a workflow each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from nightferry.backend.queries import Outcome, judge_execution

ExecutionStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]


@dataclass(frozen=True)
class ExecutionSummary:
    """One execution of a workflow, as in a list. It is ``interrupted`` if it is open and no engine is running it.

    ``started_by`` is a person, a schedule, a trigger or another execution; None if the backend does not know it.
    """

    id: str
    workflow: str
    status: ExecutionStatus
    started_at: datetime
    stopped_at: datetime | None
    error: str | None
    cause: str | None
    interrupted: bool = False
    started_by: str | None = None

    @property
    def outcome(self) -> Outcome:
        """Return the outcome so far."""
        return judge_execution(self.status)


@dataclass(frozen=True)
class WorkflowExecution(ExecutionSummary):
    """One execution of a workflow with its data. ``vars`` has its fields; ``asdict`` cannot copy deeply nested data."""

    input: Any = None
    output: Any = None
