"""The numbers of runs and executions by outcome, each of which links to its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from nightferry.backend.usage import RunUsage


@dataclass(frozen=True)
class Outcomes:
    """The numbers of ended runs or executions. Those that a person stopped count for neither side of ``rate``."""

    succeeded: int = 0
    failed: int = 0
    stopped: int = 0

    @property
    def rate(self) -> float | None:
        """The part that succeeded, of those that succeeded or failed."""
        judged = self.succeeded + self.failed
        return self.succeeded / judged if judged else None

    def items(self) -> list[tuple[str, int]]:
        """Return the outcomes with their numbers, failures first."""
        return [("failed", self.failed), ("succeeded", self.succeeded), ("stopped", self.stopped)]


def count(outcomes: Iterable[str]) -> Outcomes:
    """Return the numbers of these outcomes."""
    found = Counter(outcomes)
    return Outcomes(found["succeeded"], found["failed"], found["stopped"])


def count_outcomes(runs: Iterable[RunUsage]) -> Outcomes:
    """Return the numbers of runs by outcome."""
    return count(run.outcome for run in runs)


def format_instant(time: datetime) -> str:
    """Return a time for the query of a list, which then begins exactly there."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
