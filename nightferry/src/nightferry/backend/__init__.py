"""The interface of the backends, and the code that they share."""

from nightferry.backend.interface import (
    Backend,
    CredentialsExpired,
    ExecutionSummary,
    LogLine,
    LogReader,
    Refused,
    RunRequest,
    StateExecution,
    TaskRun,
    Unreachable,
    WorkflowExecution,
)
from nightferry.backend.queries import Count, Cursor, ExecutionFilter, Page, RunFilter

__all__ = [
    "Backend",
    "Count",
    "CredentialsExpired",
    "Cursor",
    "ExecutionFilter",
    "ExecutionSummary",
    "LogLine",
    "LogReader",
    "Page",
    "Refused",
    "RunFilter",
    "RunRequest",
    "StateExecution",
    "TaskRun",
    "Unreachable",
    "WorkflowExecution",
]
