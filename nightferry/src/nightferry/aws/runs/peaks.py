"""The most memory that runs used, from the last lines of their logs: neither ECS nor its events have it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nightferry.aws.lru_cache import LruCache
from nightferry.aws.periods import to_epoch_ms
from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.log_lines import parse_line
from nightferry.clock import Clock
from nightferry.contract import LogEvent, Naming

MOST_CALLS = 10
"""The number of calls of FilterLogEvents that one query makes. CloudWatch returns the oldest lines first."""

_PATTERN = f'{{ $.event = "{LogEvent.ENDED}" }}'
_LONGEST_PERIOD = timedelta(days=7)
_VALID = timedelta(minutes=10)
_KEPT_TASKS = 100


@dataclass(frozen=True)
class _Reading:
    at: datetime
    peaks: dict[str, int]


class PeakQueries:
    """Queries of the peaks of memory in the log group of the tasks."""

    def __init__(self, aws: Aws, naming: Naming, clock: Clock) -> None:
        self._aws = aws
        self._naming = naming
        self._clock = clock
        self._readings: LruCache[_Reading] = LruCache(_KEPT_TASKS)

    def find(self, task: str) -> dict[str, int]:
        """Return the peaks in bytes of a task's runs of the last days by run, as read at most ten minutes ago."""
        now = self._clock.now()
        if task in self._readings and now - self._readings[task].at < _VALID:
            return self._readings[task].peaks
        reading = _Reading(now, self._read(task, now - _LONGEST_PERIOD))
        self._readings.put(task, reading)
        return reading.peaks

    def _read(self, task: str, since: datetime) -> dict[str, int]:
        peaks: dict[str, int] = {}
        token: dict[str, Any] = {}
        for _ in range(MOST_CALLS):
            try:
                with self._aws.translate_errors("read the last lines of runs", missing=("ResourceNotFoundException",)):
                    page = self._aws.logs.filter_log_events(
                        logGroupName=self._naming.log_group,
                        logStreamNamePrefix=self._naming.stream(task),
                        filterPattern=_PATTERN,
                        startTime=to_epoch_ms(since),
                        **token,
                    )
                    for event in page["events"]:
                        fields = parse_line(event.get("message", "")) or {}
                        peak = fields.get("peak_memory_bytes")
                        if fields.get("event") == LogEvent.ENDED and isinstance(peak, int):
                            peaks[event["logStreamName"].rpartition("/")[2]] = peak
            except ResourceNotFound:  # no task has run yet
                return peaks
            if not page.get("nextToken"):
                return peaks
            token = {"nextToken": page["nextToken"]}
        return peaks
