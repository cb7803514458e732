"""The lines of a run as text: those of a page, or all lines in constant memory."""

from __future__ import annotations

from starlette.responses import Response

from nightferry.backend.log_windows import ALL_LINES, LogLine
from nightferry.dashboard.pages.runs.log import find_run, read_filter, read_log
from nightferry.dashboard.streaming import download
from nightferry.dashboard.view import View
from nightferry.printable import make_one_line

_LINES = 1000  # of a part of a download


def show(view: View) -> Response:
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
