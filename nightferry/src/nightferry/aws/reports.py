"""Pages of the reports of jobs, from the log of the tasks.

The log is read in periods, newest first, with a filter that CloudWatch applies. A query makes a limited number of
calls. If a period needs more, the page ends before it, and the next query continues where this one has stopped. A
period that can no longer change is read once, and of the newest one only what has been added.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nightferry.aws.lru_cache import LruCache
from nightferry.aws.periods import Period, is_outside, split_time, to_epoch_ms
from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.log_lines import parse_line
from nightferry.backend.queries import Cursor, Page
from nightferry.backend.reports import (
    Report,
    ReportFilter,
    make_report_id,
    matches_report,
    parse_report,
    parse_report_time,
)
from nightferry.clock import Clock
from nightferry.contract import LogEvent
from nightferry.errors import UnknownName

MOST_CALLS = 40
"""The number of calls of FilterLogEvents that one query makes."""

_PATTERN = f'{{ $.event = "{LogEvent.REPORT}" }}'
_LATE = timedelta(minutes=15)  # for lines that become visible late
_KEPT_PERIODS = 32


@dataclass
class _Reading:
    """The reports of a period that were read so far.

    ``token`` continues a reading that was not finished; ``complete_at`` is the time of the last one that was.
    """

    reports: dict[str, Report] = field(default_factory=dict)
    token: str | None = None
    begun_at: datetime | None = None
    complete_at: datetime | None = None


class ReportQueries:
    """Queries of the reports in the log group ``group``."""

    def __init__(self, aws: Aws, group: str, clock: Clock) -> None:
        self._aws = aws
        self._group = group
        self._clock = clock
        self._readings: LruCache[_Reading] = LruCache(_KEPT_PERIODS)

    def find(self, wanted: ReportFilter, before: Cursor | None, limit: int) -> Page[Report]:
        """Return the next ``limit`` reports after the cursor ``before``, newest first."""
        found: list[Report] = []
        calls = MOST_CALLS
        for period in split_time(self._clock.now()):
            if is_outside(period, before, wanted.since, wanted.until):
                continue
            reading = self._get_reading(period)
            calls -= self._read(period, reading, calls)
            if reading.token is not None:
                end = Cursor(period.end, "")
                return Page(tuple(found), end if before is None else min(end, before))
            for report in sorted(reading.reports.values(), key=_get_place, reverse=True):
                if not matches_report(wanted, report) or (before is not None and _get_place(report) >= before):
                    continue
                if len(found) == limit:
                    return Page(tuple(found), _get_place(found[-1]))
                found.append(report)
            if len(found) == limit or calls <= 0:
                return Page(tuple(found), period.first_place)
        return Page(tuple(found), None)

    def get(self, id: str) -> Report:
        """Return a report by its ID. Raises UnknownName."""
        time = parse_report_time(id)
        found: dict[str, Report] = {}
        token = None
        for _ in range(MOST_CALLS):
            token = self._read_page(time, time + timedelta(milliseconds=1), token, found)
            if id in found or token is None:
                break
        if id not in found:
            raise UnknownName("report", id, [])
        return found[id]

    def _get_reading(self, period: Period) -> _Reading:
        reading = self._readings.get(period)
        if reading is None:
            reading = _Reading()
            self._readings.put(period, reading)
        return reading

    def _read(self, period: Period, reading: _Reading, most: int) -> int:
        """Read what is missing of a period, with at most ``most`` calls. Return the number of calls."""
        if reading.complete_at is not None and reading.complete_at >= period.end + _LATE:
            return 0
        if reading.token is None:
            reading.begun_at = self._clock.now()
        token, reading.token = reading.token, None
        start = period.begin if reading.complete_at is None else max(period.begin, _align(reading.complete_at - _LATE))
        for call in range(1, most + 1):
            token = self._read_page(start, period.end, token, reading.reports)
            if token is None:
                reading.complete_at = reading.begun_at
                return call
        reading.token = token
        return most

    def _read_page(self, start: datetime, end: datetime, token: str | None, reports: dict[str, Report]) -> str | None:
        """Add the reports of one page of the log, and return the token of the next page."""
        more: Any = {} if token is None else {"nextToken": token}
        try:
            with self._aws.translate_errors("read the reports", missing=("ResourceNotFoundException",)):
                page = self._aws.logs.filter_log_events(
                    logGroupName=self._group,
                    filterPattern=_PATTERN,
                    startTime=to_epoch_ms(start),
                    endTime=to_epoch_ms(end),
                    **more,
                )
                events = page["events"]
        except ResourceNotFound:  # nothing was deployed
            return None
        for event in events:
            time = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            run = event.get("logStreamName", "").rpartition("/")[2]
            id = make_report_id(time, event.get("eventId") or f"{run} {event['message']}")
            fields = parse_line(event.get("message", "").rstrip("\r\n"))
            report = parse_report(fields or {}, id, run, time)
            if report is not None:
                reports[id] = report
        return page.get("nextToken")


def _align(time: datetime) -> datetime:
    """Return the last full quarter of an hour, so that calls soon after each other are equal and can be shared."""
    return time.replace(minute=time.minute // 15 * 15, second=0, microsecond=0)


def _get_place(report: Report) -> Cursor:
    return Cursor(report.time, report.id)
