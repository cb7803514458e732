"""The lanes of a simulation: one picture per target, in which each day has the same width.

The picture is stretched to the width of its container, so that it has no text and no shape but rectangles. A start that
runs is a bar; one that overlaps another one is a higher bar; one that is skipped is a line over the whole height.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, format_value, picture
from nightferry.schedules.simulation import SimulatedStart

WIDTH = 1000.0
HEIGHT = 24.0
_SHORTEST = 3.0  # the width of a bar that can be seen on a phone
_SHAPES = {"runs": (9.0, 15.0), "overlaps": (3.0, 21.0), "waits": (9.0, 15.0), "skipped": (0.0, 24.0)}  # y and height
_SAME = 0.5  # bars that are closer than this are one


@dataclass(frozen=True)
class Calendar:
    """The days of a picture. Each begins at midnight of a time zone; one with a clock change is longer or shorter."""

    midnights: tuple[datetime, ...]

    @classmethod
    def make(cls, since: datetime, days: int, zone: ZoneInfo) -> Calendar:
        """Return the days from that of ``since`` on."""
        first = since.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        return cls(tuple(first + timedelta(days=n) for n in range(days + 1)))  # wall time, so always at midnight

    @property
    def days(self) -> tuple[datetime, ...]:
        """Return the beginning of each day."""
        return self.midnights[:-1]

    @property
    def begin(self) -> datetime:
        """Return the beginning of the first day."""
        return self.midnights[0]

    @property
    def end(self) -> datetime:
        """Return the end of the last day."""
        return self.midnights[-1]

    @cached_property
    def _timestamps(self) -> list[float]:
        return [midnight.timestamp() for midnight in self.midnights]

    def find_x(self, time: datetime) -> float:
        """Return the place of a time in the picture."""
        instant, limits = time.timestamp(), self._timestamps
        day = bisect_right(limits, instant) - 1
        if day < 0 or day == len(limits) - 1:
            return 0.0 if day < 0 else WIDTH
        return (day + (instant - limits[day]) / (limits[day + 1] - limits[day])) * WIDTH / (len(limits) - 1)


def draw_lane(title: str, starts: Iterable[SimulatedStart], calendar: Calendar, now: datetime) -> Markup:
    """Return the picture of one target's starts."""
    bars: dict[str, list[tuple[float, float]]] = {kind: [] for kind in _SHAPES}
    for start in starts:
        for kind, begin, end in _list_bars(start):
            first = calendar.find_x(begin)
            if end >= calendar.begin and begin < calendar.end:
                bars[kind].append((first, max(calendar.find_x(end), first + _SHORTEST)))
    lines = [
        element("line", x1=x, x2=x, y1=0.0, y2=HEIGHT, class_="day") for x in map(calendar.find_x, calendar.days[1:])
    ]
    if calendar.begin <= now < calendar.end:
        x = calendar.find_x(now)
        lines.append(element("line", x1=x, x2=x, y1=0.0, y2=HEIGHT, class_="now"))
    paths = [element("path", d=_draw_bars(kind, found), class_=kind) for kind, found in bars.items() if found]
    return picture(WIDTH, HEIGHT, title, [*lines, *paths], class_="lane", stretch=True)


def _list_bars(start: SimulatedStart) -> Sequence[tuple[str, datetime, datetime]]:
    if start.outcome == "skipped":
        return [("skipped", start.fire, start.fire)]
    own = ("overlaps" if start.meets or start.outcome == "replaced" else "runs", start.begin, start.end)
    return [("waits", start.fire, start.begin), own] if start.outcome == "waits" else [own]


def _draw_bars(kind: str, bars: list[tuple[float, float]]) -> str:
    """Return one path for all bars of a kind. Those that touch are one, so that the path is never long."""
    y, height = _SHAPES[kind]
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(bars):
        if merged and begin - merged[-1][1] < _SAME:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return "".join(
        f"M{format_value(begin)} {format_value(y)}h{format_value(end - begin)}v{format_value(height)}"
        f"H{format_value(begin)}z"
        for begin, end in merged
    )
