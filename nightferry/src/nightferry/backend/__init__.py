"""The interface of the backends, and the code that they share."""

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
