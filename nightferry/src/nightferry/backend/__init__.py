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
from nightferry.backend.reports import RecordsUnreachable, RejectedRecord, Report, ReportFilter

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
    "RecordsUnreachable",
    "Refused",
    "RejectedRecord",
    "Report",
    "ReportFilter",
    "RunFilter",
    "RunRequest",
    "StateExecution",
    "TaskRun",
    "Unreachable",
    "WorkflowExecution",
]
