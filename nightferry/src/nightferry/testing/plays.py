"""What a task on the fake Fargate does, told in seconds since it was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """A line: written ``at``, and visible to readers from ``seen`` on (None: at once), perhaps after the task's end."""

    at: float
    text: str
    seen: float | None = None


@dataclass(frozen=True)
class Play:
    """A task's life. ``stopped`` None: it runs until somebody stops it, and then ends with 143 ``stopping`` later.

    ``fails`` is the reason of one that never starts; ``refused`` that of a RunTask that answers with a failure and
    starts nothing.
    """

    pending: float = 0.2
    running: float = 0.4
    stopped: float | None = 0.6
    exit_code: int = 0
    lines: Sequence[Said] = ()
    fails: str | None = None
    refused: str | None = None
    container_reason: str | None = None
    stopping: float = 0.3
