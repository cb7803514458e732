"""A row of columns, one for each of the last executions, on a common scale."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture

_STEP, _GAP = 8.0, 2.0
_HEIGHT = 32.0
_PLACES = 30  # of a picture; fewer columns stand at its right
_LEAST = 1.0  # the height of a column that is too short to see


def draw(lengths: Sequence[float | None], failed: Sequence[bool], longest: float, title: str) -> Markup:
    """Return the picture. None leaves a place empty. A failed one has a cross above its column."""
    total = max(len(lengths), _PLACES)
    columns = enumerate(zip(lengths, failed, strict=True), start=total - len(lengths))
    places = [(number * _STEP, length, bad) for number, (length, bad) in columns]
    parts = []
    for wanted, class_ in ((False, "column"), (True, "column failed")):
        path = "".join(
            f"M{x:g} {_HEIGHT:g}v{-_measure(length, longest):.1f}h{_STEP - _GAP:g}V{_HEIGHT:g}z"
            for x, length, bad in places
            if length is not None and bad == wanted
        )
        if path:
            parts.append(element("path", d=path, class_=class_))
    crosses = "".join(f"M{x + 1:g} 1l4 4m-4 0l4 -4" for x, length, bad in places if bad and length is not None)
    if crosses:
        parts.append(element("path", d=crosses, class_="cross"))
    return picture(total * _STEP, _HEIGHT, title, parts, class_="columns")


def _measure(length: float, longest: float) -> float:
    return max((_HEIGHT - 7) * length / longest if longest else 0, _LEAST)
