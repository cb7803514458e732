"""The lines of a run outside a page: as a download, and as a stream of the rows that are added."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

from starlette.responses import Response

from nightferry.backend.interface import TaskRun
from nightferry.backend.log_windows import ALL_LINES, LogLine
from nightferry.dashboard.pages.run.log import find_run, read_filter, read_log, read_position
from nightferry.dashboard.pages.run.log_rows import LogRows
from nightferry.dashboard.streaming import Event, EventStream, download
from nightferry.dashboard.view import BadRequest, View
from nightferry.errors import NightferryError
from nightferry.printable import make_one_line

_ROWS = 100
"""The rows of an event, which a browser adds without a noticeable pause."""

_LATE = timedelta(seconds=15)
_LINES = 1000  # of a part of a download


def download_lines(view: View) -> Response:
    """Send the lines of the view as text, or with ``all=1`` those of the whole run."""
    assert view.threads is not None
    run = find_run(view)
    name = f"{run.task}-{run.id[:12]}.txt"
    if view.text("all") != "1":
        parts = iter((_format_lines(view, read_log(view).window.lines), b""))
        return download(name, lambda: next(parts), view.threads)
    wanted, place = read_filter(view) if view.text("q") or view.text("level") else ALL_LINES, 0

    def read() -> bytes:
        nonlocal place
        window = view.backend.lines(run, wanted, after=place, limit=_LINES)
        if not window.lines:
            return b""
        place = window.lines[-1].position
        return _format_lines(view, window.lines)

    return download(name, read, view.threads)


def _format_lines(view: View, lines: tuple[LogLine, ...]) -> bytes:
    redact = view.site.redactor.redact_text
    return "".join(f"{make_one_line(redact(line.text))}\n" for line in lines).encode()


def follow(view: View) -> Response:
    """Send the rows that are added after a place as events; with ``once=1``, only those that exist.

    The ID of an event is the position of its last line, at which a browser continues after an interruption.
    """
    assert view.threads is not None
    run, wanted = find_run(view), read_filter(view)
    place = _read_start(view)
    rows = LogRows(view.site.redactor, view.zone, text=wanted.text, show_gaps=wanted.has_all)
    slowest = max(view.backend.interval[1], 0.5)
    waits = count()
    prepared = False

    def read() -> Event:
        nonlocal place, prepared, waits
        try:
            # The state is read first: all lines of a run that has stopped by now are in the log.
            is_complete = _is_complete(view, view.backend.run(run.id))
            if not prepared:
                shown = view.backend.lines(run, wanted, before=place + 1, limit=1).lines
                for line in shown:
                    rows.continue_after(line)
                prepared = True
            window = view.backend.lines(run, wanted, after=place, limit=_ROWS)
        except NightferryError as problem:
            return Event(view.shown(str(problem)).replace("\r", " "), name="problem", wait=10)
        if window.lines:
            place = window.lines[-1].position
            waits = count()
            return Event(rows.render(window.lines), str(place), wait=0 if window.has_later else 0.5)
        if is_complete:
            return Event("end", name="end")
        return Event("", wait=min(0.5 * 1.3 ** next(waits), slowest))

    if view.text("once") == "1":
        return Response(read().encode(), media_type="text/event-stream")
    return EventStream(read, view.threads, view.site)


def _is_complete(view: View, run: TaskRun) -> bool:
    """Return True if no further lines are expected. CloudWatch shows the last ones some seconds after the end."""
    if run.status != "STOPPED" or not view.backend.outlives_client:
        return run.status == "STOPPED"
    return run.stopped_at is None or view.site.clock.now() - run.stopped_at > _LATE


def _read_start(view: View) -> int:
    last = view.headers.get("last-event-id", "")
    if last:
        if not (last.isascii() and last.isdecimal() and len(last) <= 30):
            raise BadRequest("Last-Event-ID is not a place in a log.")
        return int(last)
    return read_position(view, "after") or 0
