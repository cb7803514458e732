"""One interface for every place where tasks run, and what both implementations share."""

from nightferry.backend.interface import (
    Backend,
    CredentialsExpired,
    LogLine,
    LogReader,
    Refused,
    RunRequest,
    StateExecution,
    TaskRun,
    Unreachable,
    WorkflowExecution,
)

__all__ = [
    "Backend",
    "CredentialsExpired",
    "LogLine",
    "LogReader",
    "Refused",
    "RunRequest",
    "StateExecution",
    "TaskRun",
    "Unreachable",
    "WorkflowExecution",
]
