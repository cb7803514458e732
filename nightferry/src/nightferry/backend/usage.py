"""What runs used: the measures from which durations, sizes and costs are judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nightferry.backend.queries import Outcome


@dataclass(frozen=True)
class RunUsage:
    """What an ended run used; None is what the backend does not know.

    ``seconds`` is the time from its start to its end, None if it never started. ``log_bytes`` are the bytes that it
    wrote to its log.
    """

    run: str
    task: str
    outcome: Outcome
    created_at: datetime
    seconds: float | None
    execution: str | None
    peak_memory: int | None = None
    log_bytes: int | None = None
