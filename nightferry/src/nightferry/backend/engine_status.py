"""The state of the local engine: its health, its queue, its store and its last problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class QueuedTask:
    """The queued runs of a task, and when the oldest one was requested."""

    task: str
    number: int
    oldest: datetime


@dataclass(frozen=True)
class ServiceState:
    """A service of the catalog, and whether it responds."""

    name: str
    responds: bool
    addresses: Mapping[str, str]


@dataclass(frozen=True)
class EngineMessage:
    """A warning or an error of the engine's log."""

    time: datetime
    level: str
    text: str


@dataclass(frozen=True)
class EngineStatus:
    """The state of the engine of a project on this machine.

    ``pid`` is None if no engine is running. ``problems`` are those of ``/health`` by part, or None if the engine does
    not serve it: one that a command started has no port. ``messages`` are the last ones, the newest first.
    """

    pid: int | None
    since: datetime | None
    address: str | None
    problems: Mapping[str, str] | None
    queue: tuple[QueuedTask, ...]
    running: int
    open_executions: Mapping[str, int]
    store_bytes: int
    free_bytes: int
    required_free_bytes: int
    services: tuple[ServiceState, ...]
    messages: tuple[EngineMessage, ...]
    versions: Mapping[str, str]
