"""One row of a timeline: a bar with a segment for each attempt, on the scale that all rows share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture
from nightferry.dashboard.svg.time_scale import WIDTH, Scale, Span

_HEIGHT = 24.0
_TOP, _BAR = 5.0, 14.0
_LEAST = 4.0  # the width of a bar that is too short to see


def draw(scale: Scale, spans: Sequence[Span], usual: float | None, title: str) -> Markup:
    """Return the picture. ``usual`` is the usual length in seconds, a thin mark from the start of the last attempt.

    A failed attempt has a cross, a running one an open end, so that they differ by more than color.
    """
    parts = [element("path", d=f"M0 {_HEIGHT - 1:g}H{WIDTH:g}", class_="axis")]
    for begin, end in scale.cuts:
        left, right = scale.locate(begin), scale.locate(end)
        middle = (left + right) / 2
        zigzag = f"M{middle - 4:.1f} 2l8 5l-8 5l8 5l-8 5"
        parts.append(element("path", d=zigzag, class_="cut"))
    for span in spans:
        left, right = scale.locate(span.start), scale.locate(span.stop)
        left = min(left, WIDTH - _LEAST)
        width = max(right - left, _LEAST)
        parts.append(element("rect", x=left, y=_TOP, width=width, height=_BAR, class_=f"span {span.status}"))
        if span.status == "failed":
            x = left + width / 2
            parts.append(element("path", d=f"M{x - 4:.1f} 8l8 8m0 -8l-8 8", class_="cross"))
        elif span.status == "open":
            x = left + width
            parts.append(element("path", d=f"M{x:.1f} {_TOP:g}l5 7l-5 7z", class_="span open"))
    if usual is not None and spans:
        x = scale.locate(_add(spans[-1].start, usual))
        parts.append(element("path", d=f"M{x:.1f} 1V{_HEIGHT - 2:g}", class_="usual"))
    return picture(WIDTH, _HEIGHT, title, parts, class_="timeline", stretch=True)


def _add(time: datetime, seconds: float) -> datetime:
    return time + timedelta(seconds=seconds)
