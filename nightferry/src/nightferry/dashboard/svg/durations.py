"""The durations of runs over time: a column for each run, with lines at the median and the 95th percentile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture
from nightferry.presentation.durations import find_percentile, format_duration

_WIDTH, _HEIGHT = 720.0, 200.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 8.0, 132.0, 10.0, 24.0
_CROSS = 3.0  # half of the size of the mark on failed runs


@dataclass(frozen=True)
class Column:
    """One run: when it was requested, how many seconds it took, and whether it failed."""

    time: datetime
    seconds: float
    failed: bool


def draw(columns: Sequence[Column], since: datetime, until: datetime, title: str) -> Markup:
    """Return the picture. Failed runs also have a cross, so that they differ by more than color."""
    longest = max((column.seconds for column in columns), default=1.0) or 1.0
    period = max(until - since, timedelta(seconds=1))
    floor, inner = _HEIGHT - _BOTTOM, _HEIGHT - _TOP - _BOTTOM
    right = _WIDTH - _RIGHT

    def get_x(time: datetime) -> float:
        return _LEFT + (right - _LEFT) * min(max((time - since) / period, 0), 1)

    def get_y(seconds: float) -> float:
        return floor - inner * seconds / longest

    parts = [element("path", d=f"M{_LEFT} {floor}H{right}", class_="axis")]
    for failed, class_ in ((False, "bar"), (True, "bar failed")):
        drawn = [column for column in columns if column.failed == failed]
        if drawn:
            path = "".join(
                f"M{get_x(one.time):.1f} {floor:g}V{min(get_y(one.seconds), floor - 1):.1f}" for one in drawn
            )
            parts.append(element("path", d=path, class_=class_))
    crosses = "".join(
        f"M{get_x(one.time) - _CROSS:.1f} {get_y(one.seconds) - _CROSS:.1f}l{2 * _CROSS:g} {2 * _CROSS:g}"
        f"m{-2 * _CROSS:g} 0l{2 * _CROSS:g} {-2 * _CROSS:g}"
        for one in columns
        if one.failed
    )
    if crosses:
        parts.append(element("path", d=crosses, class_="cross"))
    succeeded = [column.seconds for column in columns if not column.failed]
    labels: list[float] = []
    for percentile, name in ((95, "p95"), (50, "median")):
        length = find_percentile(succeeded, percentile)
        if length is None:
            continue
        y = get_y(length)
        parts.append(element("path", d=f"M{_LEFT} {y:.1f}H{right}", class_=f"line {name}"))
        label = max([y + 4, *(other + 14 for other in labels)])
        labels.append(label)
        text = f"{name} {format_duration(length)}"
        parts.append(element("text", text, x=right + 4, y=min(label, _HEIGHT - 4), class_="label"))
    for time, anchor in ((since, "start"), (until, "end")):
        parts.append(
            element("text", f"{time:%Y-%m-%d}", x=get_x(time), y=_HEIGHT - 6, text_anchor=anchor, class_="label")
        )
    return picture(_WIDTH, _HEIGHT, title, parts, class_="durations")
