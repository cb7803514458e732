"""The log of a run: a window of its lines, with a search, and links to the lines before and after."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup, escape
from starlette.responses import Response

from nightferry.backend.log_lines import parse_line
from nightferry.backend.log_windows import LEVELS, MAX_LINES, Level, LineFilter, LineNumber, LogLine, LogWindow, Place
from nightferry.backend.runs import TaskRun
from nightferry.dashboard.pages.runs.log_rows import LogRows, format_place
from nightferry.dashboard.view import ID, BadRequest, View
from nightferry.errors import UnknownName

_AROUND_ERROR = 41
"""The lines around the last error with which the log of a failed run opens."""

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_LONGEST_POSITION = 30
_OWN = re.compile(r"p?[0-9]{17,30}|[\w/+=-]{40,}", re.ASCII)
"""A position on AWS, and the token that continues a search: longer than any number of a person or an account."""


@dataclass(frozen=True)
class LogView:
    """What the query of a log page selects. ``at`` is the place of the line that the page is about, as in a row."""

    run: TaskRun
    wanted: LineFilter
    window: LogWindow
    at: str
    is_end: bool
    """True if further lines of the run would follow the window."""


def find_run(view: View) -> TaskRun:
    """Return the run of the page's path; raises UnknownName."""
    id = view.path["id"]
    if not ID.fullmatch(id):
        raise UnknownName("run", id, [])
    return view.backend.run(id)


def read_filter(view: View) -> LineFilter:
    """Return the filter of lines that the query describes."""
    return LineFilter(view.choice("level", LEVELS) or LEVELS[0], view.search())


def read_position(view: View, name: str) -> int | None:
    """Return a parameter that is the position of a line, or None; raises BadRequest."""
    text = view.text(name)
    if text and not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_POSITION):
        raise BadRequest(f"'{name}' is not a place in a log. Follow the links of the log.")
    return int(text) if text else None


def read_log(view: View) -> LogView:
    """Return the window that the query selects.

    Without a place, it is the last error of a failed run, the first lines that a filter matches, or the end.
    """
    run, wanted = find_run(view), read_filter(view)
    before, after, at = read_position(view, "before"), read_position(view, "after"), view.text("at")
    resume = view.text("resume") or None

    def find(is_end: bool = False, at: str = "", **place: Any) -> LogView:
        window = view.backend.lines(run, wanted, **place)
        return LogView(run, wanted, window, at, is_end and not window.has_later)

    if before is not None:
        return find(before=before, resume=resume)
    if after is not None:
        return find(is_end=True, after=after, resume=resume)
    if at == "end":
        return find(is_end=True, resume=resume)
    if at == "start":
        return find(is_end=True, after=0, resume=resume)
    if at:
        place = read_place(view, run, at)
        found = find(around=place)
        return LogView(run, wanted, found.window, _find_at(found.window, place), is_end=False)
    if not wanted.has_all:
        return find(is_end=True, after=0, resume=resume)
    if run.outcome == "failed" and (error := find_error(view, run)):
        return find(at=format_place(error), around=error.position, limit=_AROUND_ERROR)
    return find(is_end=True, resume=resume)


def find_error(view: View, run: TaskRun) -> LogLine | None:
    """Return the last line of a run with level ERROR or CRITICAL, or None."""
    return next(iter(view.backend.lines(run, LineFilter("ERROR"), limit=1).lines), None)


def read_place(view: View, run: TaskRun, text: str) -> Place:
    """Return the place of the parameter ``at``: ``L123``, ``p123``, ``02:10`` on the day of the run, or a time."""
    if number := re.fullmatch(r"L?(\d{1,15})", text, re.IGNORECASE | re.ASCII):
        return LineNumber(int(number[1]))
    if position := re.fullmatch(rf"p(\d{{1,{_LONGEST_POSITION}}})", text, re.ASCII):
        return int(position[1])
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        begun = run.created_at.astimezone(view.zone)
        time = begun.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return time if time >= begun.replace(second=0, microsecond=0) else time + timedelta(days=1)
    time_or_none = view.time("at")
    assert time_or_none is not None  # because the text is not empty
    return time_or_none


def _find_at(window: LogWindow, place: Place) -> str:
    """Return the place of the first line of a window at or after a place, as in a row."""

    def is_after(line: LogLine) -> bool:
        if isinstance(place, datetime):
            return line.time >= place
        return (line.number or 0) >= place.number if isinstance(place, LineNumber) else line.position >= place

    return next((format_place(line) for line in window.lines if is_after(line)), "")


def show(view: View) -> Response:
    """Show the window, with the counts by level and links to further lines."""
    found = read_log(view)
    run, window = found.run, found.window
    counts = view.backend.count_lines(run, found.wanted)
    if view.as_json:
        return view.json({"run": run.id, "lines": [_describe(line) for line in window.lines], "counts": counts,
                          "has_earlier": window.has_earlier, "has_later": window.has_later,
                          "resume": window.resume})  # fmt: skip
    rows = LogRows(
        view.site.redactor, view.zone, text=found.wanted.text, at=found.at, show_gaps=found.wanted.has_all
    ).render(window.lines)
    last = window.lines[-1].position if window.lines else read_position(view, "after") or 0
    follows = found.is_end and run.status != "STOPPED"
    return view.page(
        "log.html",
        title=f"Log of {run.task} {run.id[:8]}",
        run=view.shown_run(run),
        found=found,
        window=window,
        rows=rows,
        levels=LEVELS,
        counts=None if counts is None else _add_up(counts),
        resume=None if window.resume is None else _link(view, keep=True, resume=window.resume),
        earlier=_link(view, before=window.lines[0].position) if window.has_earlier and window.lines else None,
        later=_link(view, after=last) if window.has_later and window.lines else None,
        start=_link(view, at="start"),
        end=_link(view, at="end"),
        stream=_link(view, path=f"/runs/{run.id}/log/stream", after=last) if follows else None,
        this_view=_link(view, path=f"/runs/{run.id}/log.txt", keep=True),
        all_lines=view.link(f"/runs/{run.id}/log.txt", all="1"),
        limit=MAX_LINES,
    )


def _link(view: View, path: str = "", keep: bool = False, **place: object) -> Markup:
    """Return the link to a window of the same filter at another place; with ``keep``, at the same one.

    It is markup, because redaction would hide the long positions on AWS. Its parts were checked.
    """
    query: dict[str, object] = {name: view.text(name) for name in ("q", "level")}
    if keep:
        kept = {name: view.text(name) for name in ("at", "before", "after", "resume")}
        query |= {name: text for name, text in kept.items() if _OWN.fullmatch(text) or view.shown(text) == text}
    return escape(view.link(path or f"/runs/{view.path['id']}/log", **query | place))


def _add_up(counts: dict[Level, int] | Any) -> list[tuple[Level, int]]:
    """Return the number of lines of each level and above, which is what the filter of that level shows."""
    return [(level, sum(counts[one] for one in LEVELS[LEVELS.index(level) :])) for level in LEVELS]


def _describe(line: LogLine) -> dict[str, Any]:
    fields = parse_line(line.text)
    content = {"text": line.text} if fields is None else {"fields": fields}
    return {"place": format_place(line), "position": str(line.position), "time": line.time, **content}
