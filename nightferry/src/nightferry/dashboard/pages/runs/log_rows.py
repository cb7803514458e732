"""The rows of a log: each line redacted, with its place, time, level, message and fields, as safe markup.

The rows are built here and not by a template, because a page has up to 1,000 of them. Every text of a line passes
through the redaction, is made printable, and is escaped, in this order. A URL becomes a link only if it begins with
``http://`` or ``https://``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from nightferry.backend.log_lines import HIDDEN_FIELDS, parse_line, read_level
from nightferry.backend.log_windows import Level, LogLine
from nightferry.job.redaction import Redactor
from nightferry.presentation.durations import format_duration
from nightferry.printable import make_printable

GAP = timedelta(seconds=10)
"""A longer time without lines is a row of its own."""

_LONGEST = 10_000  # characters of a line that a page shows; the download has all
_FOLDED = 100  # characters of fields, above which they are folded
_NAMED = 8  # fields whose names are shown while they are folded
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]+[A-Za-z0-9_~/#=&-]")
_PLAIN_NAME = re.compile(r"[A-Za-z_.]{1,60}")


def format_place(line: LogLine) -> str:
    """Return the place of a line for a URL: its number, or its position where lines have no numbers."""
    return f"p{line.position}" if line.number is None else f"L{line.number}"


class LogRows:
    """Renders consecutive lines. ``text`` is marked; ``at`` is the place of the line that the page is about."""

    def __init__(
        self,
        redactor: Redactor,
        zone: ZoneInfo,
        *,
        text: str = "",
        at: str = "",
        show_gaps: bool = True,
        page: str = "",
    ) -> None:
        """``page`` is the URL of the log if the rows are on another page."""
        self._redactor = redactor
        self._zone = zone
        self._text = re.compile(re.escape(text), re.IGNORECASE) if text else None
        self._at = at
        self._show_gaps = show_gaps
        self._page = _escape(page)
        self._focus = "" if page else " autofocus"  # shows the line of the page's address, also without scripts
        self._previous: datetime | None = None

    def continue_after(self, line: LogLine) -> None:
        """Continue after a line that is shown already."""
        self._previous = line.time.astimezone(self._zone)

    def render(self, lines: Iterable[LogLine]) -> Markup:
        """Return the rows of the lines that follow the ones before, with rows for days and gaps."""
        # Markup.format would take half of the time of a page. All texts pass through _escape.
        return Markup("".join(row for line in lines for row in self._render_line(line)))  # noqa: S704

    def _render_line(self, line: LogLine) -> Iterator[str]:
        time = line.time.astimezone(self._zone)
        before = self._previous
        if before is None or before.date() != time.date():
            yield f'<li class="day">{time:%A, %Y-%m-%d} {_escape(time.tzname() or "")}'
        elif self._show_gaps and time - before >= GAP:
            yield f'<li class="gap">{format_duration((time - before).total_seconds())} without lines'
        self._previous = time
        place = format_place(line)
        is_at = place == self._at
        level, content = self._render_content(line.text, is_open=is_at)
        yield (
            f"<li{f' id={place}' if line.number is not None or is_at else ''}"
            f"{'' if level == 'INFO' else f' class={level}'}{' aria-current=true' if is_at else ''}>"
            f'<a href="{self._page}?at={place}"{self._focus if is_at else ""}>{line.number or "#"}</a>'
            f" <time>{time:%H:%M:%S}.{time.microsecond // 1000:03}</time>"
            f" {'' if level == 'INFO' else f'<b>{level}</b> '}{content}"
        )

    def _render_content(self, text: str, *, is_open: bool) -> tuple[Level, str]:
        """Return the level of a line, and its message with its fields."""
        fields = parse_line(text)
        if fields is None:
            return "INFO", self._format(self._redactor.redact_text(text))
        level = read_level(fields)
        content = self._format(_get_text(self._redactor.redact_value(fields["message"], "message")))
        others = {
            make_printable(name if _PLAIN_NAME.fullmatch(name) else self._redactor.redact_text(name)): _get_text(
                self._redactor.redact_value(value, name)
            )
            for name, value in fields.items()
            if name not in HIDDEN_FIELDS and value is not None
        }
        if not others:
            return level, content
        joined = " ".join(f"{_escape(name)}={self._format(value)}" for name, value in others.items())
        shown = "".join((*others, *others.values()))
        if len(shown) <= _FOLDED and "\n" not in shown:
            return level, f"{content} <i>{joined}</i>"
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        names = _escape(", ".join(list(others)[:_NAMED]) + more)
        return level, f"{content}<details{' open' if is_open else ''}><summary>{names}</summary>{joined}</details>"

    def _format(self, text: str) -> str:
        """Return a redacted text as markup, with links, marks and a limited length."""
        shown = make_printable(text if len(text) <= _LONGEST else text[:_LONGEST])
        parts, end = "", 0
        if "://" in shown:
            for url in _URL.finditer(shown):
                address = _escape(url[0])
                parts += self._mark(shown[end : url.start()])
                parts += f'<a href="{address}" rel="noopener noreferrer nofollow">{address}</a>'
                end = url.end()
        parts += self._mark(shown[end:])
        if len(text) > _LONGEST:
            parts += f" … ({len(text) - _LONGEST:,} more characters are in the download)"
        return parts

    def _mark(self, text: str) -> str:
        """Return a part of a line, escaped, in which the searched text is marked."""
        if self._text is None:
            return _escape(text)
        parts, end = "", 0
        for found in self._text.finditer(text):
            parts += f"{_escape(text[end : found.start()])}<mark>{_escape(found[0])}</mark>"
            end = found.end()
        return parts + _escape(text[end:])


def _escape(text: str) -> str:
    return str(escape(text))


def _get_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
