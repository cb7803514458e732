"""The rows that are added to the log of a run, as server-sent events.

On this machine, a poll reads the lines after the last one. CloudWatch shows some lines late and after newer ones, so on
AWS the reader of the backend is used, which returns these too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from starlette.responses import Response

from nightferry.backend.interface import LogReader
from nightferry.backend.log_lines import judge_level
from nightferry.backend.log_windows import LineFilter, LogLine
from nightferry.backend.runs import TaskRun
from nightferry.dashboard.pages.runs.log import find_run, read_filter, read_position
from nightferry.dashboard.pages.runs.log_rows import LogRows
from nightferry.dashboard.streaming import Event, EventStream
from nightferry.dashboard.view import BadRequest, View
from nightferry.errors import NightferryError

_ROWS = 100
"""The rows of an event, which a browser adds without a noticeable pause."""

_SHORTEST_WAIT = 0.5  # seconds between two polls
_PROBLEM_WAIT = 10.0


def follow(view: View) -> Response:
    """Send the rows that are added after a place as events; with ``once=1``, only those that exist.

    The ID of an event is the position of its last line, at which a browser continues after an interruption.
    """
    assert view.threads is not None
    follower = _Follower(view, find_run(view), read_filter(view), _read_start(view))
    if view.text("once") == "1":
        return Response(follower.read().encode(), media_type="text/event-stream")
    access = view.site.access
    return EventStream(
        follower.read, view.threads, view.site, lambda: not view.session or access.is_session(view.session)
    )


def _read_start(view: View) -> int:
    last = view.headers.get("last-event-id", "")
    if not last:
        return read_position(view, "after") or 0
    if not (last.isascii() and last.isdecimal() and len(last) <= 30):
        raise BadRequest("Last-Event-ID is not a place in a log.")
    return int(last)


class _Follower:
    """Reads the lines of a run after a place. Calls may come from different threads, one after the other."""

    def __init__(self, view: View, run: TaskRun, wanted: LineFilter, place: int) -> None:
        self._view = view
        self._run = run
        self._wanted = wanted
        self._place = place
        self._rows = LogRows(view.site.redactor, view.zone, text=wanted.text, show_gaps=wanted.has_all)
        self._reader: LogReader | None = None
        self._unread: Iterator[LogLine] = iter(())
        self._wait = _SHORTEST_WAIT
        self._begun = False

    def read(self) -> Event:
        """Return the next rows, nothing if there are none so far, or the event ``end``."""
        try:
            if not self._begun:
                self._begin()
            lines, may_follow = self._read_late() if self._reader else self._read_stored()
        except NightferryError as problem:
            return Event(self._view.shown(str(problem)).replace("\r", " "), name="problem", wait=_PROBLEM_WAIT)
        if lines:
            self._wait = _SHORTEST_WAIT
            self._place = max(self._place, *(line.position for line in lines))
            return Event(self._rows.render(lines), str(self._place), wait=0 if may_follow else _SHORTEST_WAIT)
        if not may_follow:
            return Event("end", name="end")
        self._wait = min(1.3 * self._wait, max(self._view.backend.interval[1], _SHORTEST_WAIT))
        return Event("", wait=self._wait)

    def _begin(self) -> None:
        """Find the line at the place, which is shown already."""
        backend = self._view.backend
        shown = backend.lines(self._run, self._wanted, before=self._place + 1, limit=1).lines if self._place else ()
        for line in shown:
            self._rows.continue_after(line)
        if backend.outlives_client:
            self._reader = backend.log_reader(shown[0].time if shown else None)
            found = list(self._reader.new([self._run.id]))
            places = [line.position for line in found]
            first = places.index(self._place) + 1 if self._place in places else 0
            self._unread = iter(found[first:])
        self._begun = True

    def _read_stored(self) -> tuple[list[LogLine], bool]:
        # The state is read first: all lines of a run that has stopped by now are in the store.
        is_open = self._view.backend.run(self._run.id).status != "STOPPED"
        window = self._view.backend.lines(self._run, self._wanted, after=self._place, limit=_ROWS)
        return list(window.lines), window.has_later or (is_open and not window.lines)

    def _read_late(self) -> tuple[list[LogLine], bool]:
        assert self._reader is not None
        lines = list(islice(filter(self._matches, self._unread), _ROWS))
        if lines:
            return lines, True
        self._view.backend.run(self._run.id)  # whose end the reader needs
        self._unread = self._reader.new([self._run.id])
        lines = list(islice(filter(self._matches, self._unread), _ROWS))
        return lines, not self._reader.is_drained(self._run.id)

    def _matches(self, line: LogLine) -> bool:
        return self._wanted.has_all or self._wanted.matches(judge_level(line.text), line.text)
