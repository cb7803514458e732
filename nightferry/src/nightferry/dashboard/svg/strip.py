"""A strip of one task's runs in a period: a bar per run, on a common scale of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture

WIDTH, HEIGHT = 480, 20
_LEAST = 30  # tenths; a quick run must be visible
_LAST = 10 * WIDTH - _LEAST  # the last place of a bar


def draw_strip(title: str, bars: Iterable[tuple[str, datetime, datetime]], start: datetime, end: datetime) -> Markup:
    """Return the strip. Each bar has a status, which is its class, its start and its end.

    The bars of one status are one path, and bars at the same place are one: hundreds of elements would take longer to
    write than the rest of the page.
    """
    unit = max(end - start, timedelta(seconds=1)) / (10 * WIDTH)  # bars have places and widths of tenths
    places: dict[str, set[tuple[int, int]]] = {}
    for status, began, ended in bars:
        x = max(0, min((began - start) // unit, _LAST))
        width = max(_LEAST, min((ended - began) // unit, 10 * WIDTH - x))
        places.setdefault(status, set()).add((x, width))
    drawn = [element("line", x1=0, y1=HEIGHT / 2, x2=WIDTH, y2=HEIGHT / 2, class_="axis")]
    for status in sorted(places, key=lambda status: (status == "failed", status)):  # no other bar covers a failed one
        top = 1 if status == "failed" else 4  # a failure is also taller, not only red
        height = HEIGHT - 2 * top
        path = "".join(f"M{x / 10} {top}h{width / 10}v{height}h-{width / 10}z" for x, width in sorted(places[status]))
        drawn.append(element("path", d=path, class_=f"bar {status}"))
    return picture(WIDTH, HEIGHT, title, drawn, class_="strip", stretch=True)
