"""A strip of one task's runs in a period: a bar per run, on a common scale of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture

WIDTH, HEIGHT = 480.0, 20.0
_LEAST_WIDTH = 3.0  # a quick run must be visible


def draw_strip(title: str, bars: Iterable[tuple[str, datetime, datetime]], start: datetime, end: datetime) -> Markup:
    """Return the strip. Each bar has a status, which is its class, its start and its end.

    The bars of one status are one path, and bars at the same place are one: hundreds of elements would take longer to
    write than the rest of the page.
    """
    scale = WIDTH / max((end - start).total_seconds(), 1)
    places: dict[str, set[tuple[float, float]]] = {}
    for status, began, ended in bars:
        x = round(max(0.0, min((began - start).total_seconds() * scale, WIDTH - _LEAST_WIDTH)), 1)
        width = round(max(_LEAST_WIDTH, min((ended - began).total_seconds() * scale, WIDTH - x)), 1)
        places.setdefault(status, set()).add((x, width))
    drawn = [element("line", x1=0, y1=HEIGHT / 2, x2=WIDTH, y2=HEIGHT / 2, class_="axis")]
    for status in sorted(places, key=lambda status: (status == "failed", status)):  # no other bar covers a failed one
        top = 1.0 if status == "failed" else 4.0  # a failure is also taller, not only red
        path = "".join(
            f"M{x:g} {top:g}h{width:g}v{HEIGHT - 2 * top:g}h{-width:g}z" for x, width in sorted(places[status])
        )
        drawn.append(element("path", d=path, class_=f"bar {status}"))
    return picture(WIDTH, HEIGHT, title, drawn, class_="strip", stretch=True)
