"""One interface for every place where tasks run, and what both implementations share."""

from nightferry.backend.interface import (
    Backend,
    CredentialsGone,
    Execution,
    LogLine,
    LogReader,
    Refused,
    Run,
    RunRequest,
    StateVisit,
    Unreachable,
)

__all__ = [
    "Backend",
    "CredentialsGone",
    "Execution",
    "LogLine",
    "LogReader",
    "Refused",
    "Run",
    "RunRequest",
    "StateVisit",
    "Unreachable",
]
