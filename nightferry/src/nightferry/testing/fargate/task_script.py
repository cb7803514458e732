"""The script of a task on the fake Fargate: its states and lines, in seconds after the start request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightferry.contract import StopCode


@dataclass(frozen=True)
class ScriptedLine:
    """A log line, written at the second ``at``.

    Readers see it from the second ``seen`` on, which may be after the task's end. None means immediately.
    """

    at: float
    text: str
    seen: float | None = None


@dataclass(frozen=True)
class TaskScript:
    """The lifecycle of a task.

    If ``stopped`` is None, the task runs until it is stopped, and exits with code 143 ``stopping`` seconds later. A
    task with ``fails`` never starts, for that reason. With ``refused``, RunTask returns that failure and starts
    nothing. ``stop_code`` is ECS's reason for the end at ``stopped``, such as ``TerminationNotice`` for a retired host.
    ``result`` is what the job returns, which later steps of its workflow read.
    """

    pending: float = 0.2
    running: float = 0.4
    stopped: float | None = 0.6
    exit_code: int = 0
    lines: Sequence[ScriptedLine] = ()
    fails: str | None = None
    refused: str | None = None
    container_reason: str | None = None
    stop_code: str = StopCode.EXITED
    result: Mapping[str, Any] | None = None
    stopping: float = 0.3
