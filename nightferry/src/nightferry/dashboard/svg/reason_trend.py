"""Rejected records per day as stacked columns, one part for each of the commonest reasons."""

from __future__ import annotations

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture
from nightferry.presentation.reports import Trend

_WIDTH, _HEIGHT = 640.0, 160.0
_LEFT, _BOTTOM, _TOP = 56.0, 22.0, 12.0
_WIDEST = 40.0


def draw_reason_trend(trend: Trend) -> Markup:
    """Return the columns. The page has the same numbers as a table."""
    totals = [sum(row[day] for row in trend.counts) for day in range(len(trend.days))]
    most = max(totals, default=0)
    step = (_WIDTH - _LEFT) / max(len(trend.days), 1)
    width = min(step * 0.8, _WIDEST)
    scale = (_HEIGHT - _TOP - _BOTTOM) / max(most, 1)
    base = _HEIGHT - _BOTTOM
    parts = [
        element("line", x1=_LEFT, x2=_WIDTH, y1=base, y2=base, class_="axis"),
        element("text", f"{most:,}", x=_LEFT - 6, y=_TOP + 8, text_anchor="end", class_="label"),
        element("text", "0", x=_LEFT - 6, y=base, text_anchor="end", class_="label"),
    ]
    for number, day in enumerate(trend.days):
        x, y = _LEFT + number * step + (step - width) / 2, base
        columns = []
        for place, row in enumerate(trend.counts):
            if row[number]:
                height = row[number] * scale
                y -= height
                columns.append(element("rect", x=x, y=y, width=width, height=height, class_=f"reason-{place}"))
        names = ", ".join(
            f"{row[number]:,} {reason}" for reason, row in zip(trend.reasons, trend.counts, strict=True) if row[number]
        )
        parts.append(element("g", element("title", f"{day}: {names or 'none'}"), *columns))
    for number in sorted({0, len(trend.days) // 2, len(trend.days) - 1} if trend.days else set()):
        x = _LEFT + number * step + step / 2
        anchor = "end" if number and number == len(trend.days) - 1 else "middle"
        parts.append(
            element("text", f"{trend.days[number]:%m-%d}", x=x, y=_HEIGHT - 6, text_anchor=anchor, class_="label")
        )
    return picture(_WIDTH, _HEIGHT, "Rejected records per day, by reason", parts, class_="reason-trend")
