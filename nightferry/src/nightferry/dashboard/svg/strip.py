"""A strip of one task's runs in a period: a bar per run, on a common scale of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture

WIDTH, HEIGHT = 480.0, 20.0
_MIN_BAR = 3.0  # a quick run must be visible


def draw_strip(title: str, bars: Iterable[tuple[str, datetime, datetime]], start: datetime, end: datetime) -> Markup:
    """Return the strip. Each bar has a status, which is its class, its start and its end."""
    scale = WIDTH / max((end - start).total_seconds(), 1)
    drawn = [element("line", x1=0, y1=HEIGHT / 2, x2=WIDTH, y2=HEIGHT / 2, class_="axis")]
    # Failed ones last, so that no other bar covers them.
    for status, began, ended in sorted(bars, key=lambda bar: (bar[0] == "failed", bar[1])):
        x = max(0.0, min((began - start).total_seconds() * scale, WIDTH - _MIN_BAR))
        width = max(_MIN_BAR, min((ended - began).total_seconds() * scale, WIDTH - x))
        top = 1.0 if status == "failed" else 4.0  # a failure is also taller, not only red
        drawn.append(element("rect", x=x, y=top, width=width, height=HEIGHT - 2 * top, class_=f"bar {status}"))
    return picture(WIDTH, HEIGHT, title, drawn, class_="strip", stretch=True)
