"""Pages and counts of runs: those that ECS still knows, and stopped ones from the log of task state changes.

The log is read in periods, newest first, until a page is full. A period whose runs have all ended is read once and
kept, so a page that is shown again reads only the newest period. Within a period CloudWatch returns the oldest events
first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from nightferry.aws.lru_cache import LruCache
from nightferry.aws.periods import Period, is_outside, split_time
from nightferry.aws.runs.outcomes import Outcomes
from nightferry.backend.queries import Count, Cursor, Page, RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.clock import Clock

EXAMINED = 20_000
"""The number of runs that a query reads before it returns the part that it has."""

_KEPT_PERIODS = 64
_LATE = timedelta(hours=1)  # for the start of a task, the end of its grace, and the delivery of the event


class RunQueries:
    """Queries of the runs of one environment.

    ``list_current`` returns the runs of a task, or of all, that ECS knows, and ``list_of`` those of an execution.
    ``parse`` makes runs of descriptions of tasks. ``longest`` is the longest duration of a run.
    """

    def __init__(
        self,
        outcomes: Outcomes,
        list_current: Callable[[str | None], Iterable[TaskRun]],
        list_of: Callable[[str], Iterable[TaskRun]],
        parse: Callable[[Sequence[Mapping[str, Any]]], list[TaskRun]],
        longest: timedelta,
        clock: Clock,
    ) -> None:
        self._outcomes = outcomes
        self._list_current = list_current
        self._list_of = list_of
        self._parse = parse
        self._delay = longest + _LATE
        self._clock = clock
        self._kept: LruCache[list[TaskRun]] = LruCache(_KEPT_PERIODS)

    def find(self, wanted: RunFilter, before: Cursor | None, limit: int) -> Page[TaskRun]:
        """Return the next ``limit`` runs after the cursor ``before``, newest first."""
        found: list[TaskRun] = []
        examined = 0
        for period, runs in self._iterate_periods(wanted, before):
            for run in runs:
                if not _matches(wanted, run) or (before is not None and _get_place(run) >= before):
                    continue
                if len(found) == limit:
                    return Page(tuple(found), _get_place(found[-1]))
                found.append(run)
            examined += len(runs)
            if examined >= EXAMINED:
                return Page(tuple(found), period.first_place)
        return Page(tuple(found), None)

    def count(self, wanted: RunFilter, limit: int) -> Count:
        """Return the number of runs, counted up to ``limit``."""
        number = examined = 0
        for _, runs in self._iterate_periods(wanted, None):
            number += sum(_matches(wanted, run) for run in runs)
            examined += len(runs)
            if number > limit or examined >= EXAMINED:
                return Count(min(number, limit), complete=False)
        return Count(number, complete=True)

    def _iterate_periods(self, wanted: RunFilter, before: Cursor | None) -> Iterator[tuple[Period, list[TaskRun]]]:
        """Yield each period with its runs, newest first. Open runs and those of an execution need no log."""
        if wanted.execution is not None:
            if runs_of := sorted(self._list_of(wanted.execution), key=_get_place, reverse=True):
                yield Period(runs_of[-1].created_at, self._clock.now()), runs_of
            return
        current = {run.id: run for run in self._list_current(wanted.task)}
        for period in split_time(self._clock.now()):
            if is_outside(period, before, wanted.since, wanted.until):
                continue
            runs = {} if wanted.outcome == "open" else {run.id: run for run in self._read(wanted.task, period)}
            runs |= {id: run for id, run in current.items() if period.begin <= run.created_at < period.end}
            yield period, sorted(runs.values(), key=_get_place, reverse=True)

    def _read(self, task: str | None, period: Period) -> list[TaskRun]:
        key = (task, period)
        if (kept := self._kept.get(key)) is not None:
            return kept
        last_event = period.end + self._delay
        stopped = self._parse(self._outcomes.find_stopped(task, period.begin, last_event))
        runs = [run for run in stopped if period.begin <= run.created_at < period.end]
        if last_event < self._clock.now():
            self._kept.put(key, runs)
        return runs


def _get_place(run: TaskRun) -> Cursor:
    return Cursor(run.created_at, run.id)


def _matches(wanted: RunFilter, run: TaskRun) -> bool:
    texts = (run.id, *run.args, *run.env, *run.env.values(), run.started_by, run.reason or "")
    return (
        wanted.task in (None, run.task)
        and wanted.outcome in (None, run.outcome)
        and (wanted.since is None or run.created_at >= wanted.since)
        and (wanted.until is None or run.created_at < wanted.until)
        and (not wanted.text or any(wanted.text.lower() in text.lower() for text in texts))
    )
