"""The bar of a report: one rectangle for each outcome, in proportion to its records."""

from __future__ import annotations

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture
from nightferry.presentation.reports import Account

WIDTH, _HEIGHT = 240.0, 14.0
_NARROWEST = 3.0  # so that a few records of many remain visible


def draw_outcome_bar(account: Account) -> Markup:
    """Return the bar. Its title has the numbers, which the page also shows as text."""
    title = ", ".join(f"{segment.number:,} {segment.outcome.replace('_', ' ')}" for segment in account.segments)
    x = 0.0
    parts = []
    for segment, width in zip(account.segments, _divide(account), strict=True):
        parts.append(
            element("rect", x=x, y=0.0, width=width, height=_HEIGHT, class_=f"{segment.meaning} {segment.outcome}")
        )
        x += width
    return picture(WIDTH, _HEIGHT, title or "no records", parts, class_="outcome-bar", stretch=True)


def _divide(account: Account) -> list[float]:
    """Return the width of each segment. The widths add up to that of the bar, and none is too narrow to see."""
    widths = [max(segment.share * WIDTH, _NARROWEST) for segment in account.segments]
    surplus = sum(widths) - WIDTH
    if surplus > 0:
        wide = sum(width for width in widths if width > 2 * _NARROWEST)
        widths = [width - surplus * width / wide if width > 2 * _NARROWEST else width for width in widths]
    return widths
