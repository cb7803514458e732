"""What a machine asks the outside to do, and what the outside tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightferry.states.data.payload import Json


@dataclass(frozen=True, slots=True)
class StartTask:
    """Start a task. Its outcome is to be delivered with this ``token``, which stays the same after a replay.

    ``parameters`` is the input of the resource. The machine itself watches ``timeout_seconds`` and
    ``heartbeat_seconds`` (None: no limit).
    """

    token: str
    resource: str
    parameters: Json
    state_name: str
    timeout_seconds: int | None = None
    heartbeat_seconds: int | None = None
    credentials: Json = None


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Stop a task whose outcome nobody waits for any more."""

    token: str
    resource: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadItems:
    """Read the items of a distributed Map; deliver ``TaskSucceeded`` with the list (:func:`.items.execute_command`).

    Reading is repeated after a replay if the Map had not ended.
    """

    token: str
    resource: str
    parameters: Json
    config: dict[str, Any]
    state_name: str


@dataclass(frozen=True, slots=True)
class WriteResults:
    """Write the results of a distributed Map; deliver ``TaskSucceeded`` with what the Map state is to answer.

    See :func:`.items.execute_command`. Writing is repeated after a replay if the Map had not ended.
    """

    token: str
    resource: str
    parameters: Json
    config: dict[str, Any]
    results: list[Json]
    state_name: str
    map_run_arn: str


Command = StartTask | CancelTask | ReadItems | WriteResults


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """The task's work began."""


@dataclass(frozen=True, slots=True)
class TaskSubmitted:
    """The resource took the task in (``.sync``, ``.waitForTaskToken``) and answered ``output``."""

    output: Json


@dataclass(frozen=True, slots=True)
class TaskHeartbeat:
    """The task is alive. Not an event of the history."""


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """The task ended well with ``output``."""

    output: Json


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """The task failed. ``stage`` is where: ``"Start"`` and ``"Submit"`` before it ran, ``""`` afterwards."""

    error: str | None
    cause: str | None = None
    stage: str = ""


@dataclass(frozen=True, slots=True)
class TaskTimedOut:
    """The task took too long. The machine notices that itself; a resource may know it earlier."""

    error: str = "States.Timeout"
    cause: str | None = None


Outcome = TaskStarted | TaskSubmitted | TaskHeartbeat | TaskSucceeded | TaskFailed | TaskTimedOut
