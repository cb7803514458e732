"""The commands of a machine to its executor, and the outcomes that the executor delivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightferry.states.data.payload import Json


@dataclass(frozen=True, slots=True)
class StartTask:
    """Start a task, and deliver its outcome with this ``token``, which stays the same after a replay.

    ``parameters`` is the input of the resource. The machine itself enforces ``timeout_seconds`` and
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
    """Stop a task whose outcome is no longer needed."""

    token: str
    resource: str
    reason: str


STATE_DATA = "STATE_DATA"


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a Map.

    ``source`` is ``STATE_DATA`` for the state's input, or the URI of the object or bucket that was read. ``key`` is the
    name of the item if the items are the members of an object.
    """

    value: Json
    source: str = STATE_DATA
    key: str | None = None

    @property
    def input(self) -> Json:
        """The input of the item's iteration if there is no ItemSelector."""
        return self.value if self.key is None else {"Key": self.key, "Value": self.value}


def list_members(value: dict[str, Json], source: str = STATE_DATA) -> list[Item]:
    """Return the members of an object as items."""
    return [Item(member, source, key) for key, member in value.items()]


@dataclass(frozen=True, slots=True)
class ReadItems:
    """Read the items of a distributed Map, and deliver ``TaskSucceeded`` with a list of :class:`Item`.

    See :func:`.items.execute_command`. Reading is repeated after a replay if the Map had not ended.
    """

    token: str
    resource: str
    parameters: Json
    config: dict[str, Any]
    state_name: str


@dataclass(frozen=True, slots=True)
class WriteResults:
    """Write the results of a distributed Map, and deliver ``TaskSucceeded`` with the Map state's result.

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
    """The resource started the task."""


@dataclass(frozen=True, slots=True)
class TaskSubmitted:
    """The resource accepted the task (``.sync``, ``.waitForTaskToken``) and returned ``output``."""

    output: Json


@dataclass(frozen=True, slots=True)
class TaskHeartbeat:
    """The task is alive. The history does not record heartbeats."""


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """The task succeeded with ``output``."""

    output: Json


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """The task failed. ``stage`` is ``"Start"`` or ``"Submit"`` if it failed before it ran, else ``""``."""

    error: str | None
    cause: str | None = None
    stage: str = ""


@dataclass(frozen=True, slots=True)
class TaskTimedOut:
    """The task timed out. The machine detects timeouts itself, but a resource may report one earlier."""

    error: str = "States.Timeout"
    cause: str | None = None


Outcome = TaskStarted | TaskSubmitted | TaskHeartbeat | TaskSucceeded | TaskFailed | TaskTimedOut
