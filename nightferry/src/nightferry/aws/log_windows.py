"""Windows of a run's log stream in CloudWatch Logs, each by a limited number of calls.

FilterLogEvents returns events from either end of a period, with their IDs; GetLogEvents returns no IDs, and has no
filter. The filter of a window is a pattern of the call, so that CloudWatch searches. Such a search may return empty
pages for a long time. After :data:`SEARCH_TIME` the window has the lines found so far, and the token with which the
search continues.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nightferry.aws.logs import POSITIONS_PER_MILLISECOND, Event
from nightferry.aws.periods import to_epoch_ms
from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.log_lines import judge_level
from nightferry.backend.log_windows import (
    LEVELS,
    MAX_LINES,
    LineFilter,
    LineNumber,
    LogLine,
    LogWindow,
    Place,
    take_window,
)
from nightferry.backend.runs import TaskRun
from nightferry.clock import Clock

SEARCH_TIME = timedelta(seconds=5)
MAX_CALLS = 20
_MAX_PATTERN = 1024
_MAX_EVENTS = 10_000  # of a page
_LAST_TIME = 10**15  # milliseconds
_FORWARDS, _BACKWARDS = True, False


@dataclass
class _Search:
    """A search of a stream in one direction. ``token`` is set if it ended at its limits."""

    aws: Aws
    group: str
    stream: str
    wanted: LineFilter
    clock: Clock
    forwards: bool
    first: int  # milliseconds
    last: int | None
    limit: int
    token: str | None = None

    def iterate(self) -> Iterator[Event]:
        """Yield the events of the filter, in the direction of the search."""
        deadline = self.clock.now() + SEARCH_TIME
        for _ in range(MAX_CALLS):
            page = self._call()
            for item in page.get("events", []):
                event = Event.read(item)
                if self.wanted.has_all or self.wanted.matches(judge_level(event.text), event.text):
                    yield event
            self.token = page.get("nextToken")
            if self.token is None or self.clock.now() >= deadline:
                return

    def _call(self) -> Any:
        parameters: dict[str, Any] = {"startTime": self.first, "startFromHead": self.forwards}
        if self.last is not None:
            parameters["endTime"] = self.last
        if pattern := build_pattern(self.wanted):
            parameters["filterPattern"] = pattern
        if self.token:
            parameters["nextToken"] = self.token
        try:
            with self.aws.translate_errors("read the log", missing=("ResourceNotFoundException",)):
                return self.aws.logs.filter_log_events(
                    logGroupName=self.group, logStreamNames=[self.stream], limit=self.limit, **parameters
                )
        except ResourceNotFound:  # the task's first line creates the stream
            return {}


class LogWindows:
    """Reads windows of the streams of a log group."""

    def __init__(self, aws: Aws, group: str, clock: Clock) -> None:
        self._aws = aws
        self._group = group
        self._clock = clock

    def find_lines(
        self,
        run: TaskRun,
        stream: str,
        begin: datetime,
        wanted: LineFilter,
        *,
        before: int | None,
        after: int | None,
        around: Place | None,
        limit: int,
        resume: str | None,
    ) -> LogWindow:
        """Return a window of the stream from ``begin`` on; see :meth:`nightferry.backend.interface.Backend.lines`."""
        limit = min(limit, MAX_LINES)
        first = to_epoch_ms(begin)

        def search(forwards: bool, first: int, last: int | None = None) -> _Search:
            size = min(limit + 100, _MAX_EVENTS)
            return _Search(self._aws, self._group, stream, wanted, self._clock, forwards, first, last, size, resume)

        def take(events: Iterator[Event], limit: int) -> tuple[list[LogLine], bool]:
            return take_window((event.to_line(run.id) for event in events), limit)

        if around is not None:
            resume = None
            position = _find_position(around, first)
            at = _find_time(position)
            back, forth = search(_BACKWARDS, first, at), search(_FORWARDS, max(at, first))
            earlier, has_earlier = take(_skip_millisecond(back.iterate(), position), limit // 2)
            later, has_later = take(_skip_before(forth.iterate(), position), limit - limit // 2)
            window = (*reversed(earlier), *later)
            return LogWindow(window, has_earlier or bool(back.token), has_later or bool(forth.token))
        if after is not None:
            forth = search(_FORWARDS, max(_find_time(after), first))
            lines, more = take(_skip_through(forth.iterate(), after), limit)
            unfinished = None if more else forth.token
            return LogWindow(tuple(lines), _find_time(after) >= first, more or bool(unfinished), unfinished)
        back = search(_BACKWARDS, first, None if before is None else max(_find_time(before), first))
        lines, more = take(back.iterate() if before is None else _skip_through(back.iterate(), before), limit)
        unfinished = None if more else back.token
        return LogWindow(tuple(reversed(lines)), more or bool(unfinished), before is not None, unfinished)


def build_pattern(wanted: LineFilter) -> str | None:
    """Return CloudWatch's pattern for a filter; None if every line has to be read. It may match further lines."""
    if wanted.text:
        terms = ['"' + form.replace("\\", "\\\\").replace('"', '\\"') + '"' for form in wanted.text_forms]
        pattern = terms[0] if len(terms) == 1 else " ".join(f"?{term}" for term in terms)
        return pattern if len(pattern) <= _MAX_PATTERN else None
    levels = LEVELS[LEVELS.index(wanted.level) :]
    if "INFO" in levels:  # which lines of other programs have
        return None
    return "{ " + " || ".join(f'($.level = "{level}")' for level in levels) + " }"


def _find_position(place: Place, first: int) -> int:
    """Return the position of a place. CloudWatch does not number lines: by number, it is the start of the log."""
    if isinstance(place, datetime):
        return to_epoch_ms(place.astimezone(UTC) + timedelta(microseconds=999)) * POSITIONS_PER_MILLISECOND
    return first * POSITIONS_PER_MILLISECOND if isinstance(place, LineNumber) else place


def _find_time(position: int) -> int:
    """Return the time of a position in milliseconds, within the times that the API accepts."""
    return min(max(position // POSITIONS_PER_MILLISECOND, 0), _LAST_TIME)


def _skip_through(events: Iterator[Event], position: int) -> Iterator[Event]:
    """Yield the events after that of a position. Without it, no event of its millisecond is skipped."""
    held: list[Event] = []
    for event in events:
        if event.position == position:
            held.clear()
            break
        if event.timestamp != _find_time(position):
            held.append(event)
            break
        held.append(event)
    yield from held
    yield from events


def _skip_before(events: Iterator[Event], position: int) -> Iterator[Event]:
    """Yield the events from that of a position on. Without it, no event of its millisecond is skipped."""
    held: list[Event] = []
    for event in events:
        if event.position == position:
            held[:] = [event]
            break
        held.append(event)
        if event.timestamp != _find_time(position):
            break
    yield from held
    yield from events


def _skip_millisecond(events: Iterator[Event], position: int) -> Iterator[Event]:
    """Yield the events before that of a position, newest first. Without it, all of its millisecond are skipped."""
    for event in events:
        if event.position == position:
            break
        if event.timestamp != _find_time(position):
            yield event
            break
    yield from events
