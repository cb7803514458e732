"""Read the last error of many runs at once: a call of FilterLogEvents reads up to 100 streams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from nightferry.aws.lru_cache import LruCache
from nightferry.aws.periods import to_epoch_ms
from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.log_lines import LAST_PERIOD, find_last_error
from nightferry.backend.log_windows import LogLine
from nightferry.backend.runs import TaskRun
from nightferry.clock import Clock

_STREAMS = 100  # of one call (CloudWatch Logs API, FilterLogEvents)
_PAGES = 20  # of one call's streams; the errors on later pages are not known
_PATTERN = '{ ($.level = "ERROR") || ($.level = "CRITICAL") }'
_LATE = timedelta(minutes=15)  # for lines that become visible after the end of their run
_KEPT = 20_000


class LastErrors:
    """The last errors of stopped runs. ``stream`` returns the name of a run's stream.

    What was read is kept, because a run that has ended writes nothing more.
    """

    def __init__(self, aws: Aws, group: str, stream: Callable[[TaskRun], str], clock: Clock) -> None:
        self._aws = aws
        self._group = group
        self._stream = stream
        self._clock = clock
        self._kept: LruCache[str | None] = LruCache(_KEPT)

    def find(self, runs: Sequence[TaskRun]) -> dict[str, str]:
        """Return the message of the last error of each run that has one."""
        # A run without an exit code may have no stream, and an unknown stream is an error for the whole call.
        unread = [run for run in runs if run.exit_code is not None and run.stopped_at and run.id not in self._kept]
        unread.sort(key=lambda run: (run.stopped_at, run.id), reverse=True)
        found: dict[str, str | None] = {}
        for first in range(0, len(unread), _STREAMS):
            found |= self._read(unread[first : first + _STREAMS])
        known = {run.id: self._kept[run.id] for run in runs if run.id in self._kept}
        return {id: message for id, message in (found | known).items() if message is not None}

    def _read(self, runs: Sequence[TaskRun]) -> dict[str, str | None]:
        """Return the last error or None of runs. If a stream is missing, the halves are read separately."""
        if not runs:
            return {}
        lines: defaultdict[str, list[LogLine]] = defaultdict(list)
        try:
            for line in self._iterate_lines(runs):
                lines[line.run].append(line)
        except ResourceNotFound:
            if len(runs) > 1:
                middle = len(runs) // 2
                return {**self._read(runs[:middle]), **self._read(runs[middle:])}
            lines.clear()
        found: dict[str, str | None] = {}
        for run in runs:
            found[run.id] = find_last_error(lines[run.id], run.stopped_at)
            if found[run.id] is not None or (run.stopped_at and self._clock.now() - run.stopped_at > _LATE):
                self._kept.put(run.id, found[run.id])
        return found

    def _iterate_lines(self, runs: Sequence[TaskRun]) -> Iterator[LogLine]:
        names = {self._stream(run): run.id for run in runs}
        ends = [run.stopped_at for run in runs if run.stopped_at is not None]
        with self._aws.translate_errors("read the log", missing=("ResourceNotFoundException",)):
            pages = self._aws.logs.get_paginator("filter_log_events").paginate(
                logGroupName=self._group,
                logStreamNames=list(names),
                startTime=to_epoch_ms(min(ends) - LAST_PERIOD),
                endTime=to_epoch_ms(max(ends) + _LATE),
                filterPattern=_PATTERN,
            )
            for number, page in enumerate(pages):
                if number == _PAGES:
                    return
                for event in page["events"]:
                    if (run := names.get(event.get("logStreamName", ""))) is not None:
                        time = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                        yield LogLine(event["timestamp"], run, time, event.get("message", "").rstrip("\r\n"))
