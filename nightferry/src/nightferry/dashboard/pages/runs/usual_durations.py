"""How long the runs of a task usually take, from those before a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightferry.backend.interface import Backend
from nightferry.backend.queries import Cursor, RunFilter
from nightferry.backend.runs import RunSummary
from nightferry.presentation.durations import find_percentile

_RUNS = 50
_PERIOD = timedelta(days=90)
_LEAST = 3  # runs, below which a duration is not usual


@dataclass(frozen=True)
class UsualDuration:
    """The median and the 95th percentile of the durations of ``runs`` successful runs, in seconds."""

    runs: int
    median: float
    p95: float

    def judge(self, seconds: float) -> str:
        """Return how a duration compares: usual, longer than usual, or longer than 95 % of the earlier runs."""
        if seconds > self.p95:
            return "longer than 95 % of the earlier runs"
        return "longer than usual" if seconds > 1.5 * self.median and seconds - self.median > 5 else "as usual"


def find_earlier_runs(backend: Backend, run: RunSummary) -> Sequence[RunSummary]:
    """Return the runs of the task before a run, newest first, as far as they show its usual duration."""
    wanted = RunFilter(task=run.task, since=run.created_at - _PERIOD)
    return backend.run_summaries(wanted, before=Cursor(run.created_at, run.id), limit=_RUNS)


def find_usual_duration(earlier: Sequence[RunSummary]) -> UsualDuration | None:
    """Return how long the successful ones of the runs took; None with too few of them."""
    seconds = [one.seconds for one in earlier if one.succeeded and one.seconds is not None]
    median, p95 = find_percentile(seconds, 50), find_percentile(seconds, 95)
    if len(seconds) < _LEAST or median is None or p95 is None:
        return None
    return UsualDuration(len(seconds), median, p95)


def expect_end(run: RunSummary, usual: UsualDuration | None) -> datetime | None:
    """Return when a run that has started is usually done; None for an ended one."""
    if usual is None or run.status == "STOPPED" or run.started_at is None:
        return None
    return run.started_at + timedelta(seconds=usual.median)
