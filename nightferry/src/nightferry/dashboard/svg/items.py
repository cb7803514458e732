"""Pictures of the items of a Map: a bar of counts, a strip with a cell for each item, and a histogram of durations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil

from markupsafe import Markup

from nightferry.backend.states.values import ITEM_STATUSES, ItemStatus
from nightferry.dashboard.svg.drawing import element, picture
from nightferry.presentation.durations import format_duration

COLUMNS = 200
"""The number of cells in a row of the strip."""

MOST_CELLS = 20_000
_LEAST_COLUMNS = 60  # with fewer items, the right part is empty: a cell is never as wide as the page
_BAR_WIDTH, _BAR_HEIGHT = 1000.0, 16.0
_LEAST = 4.0  # the width of a part that is too small to see
_BINS = 24


def draw_counts(counts: Mapping[ItemStatus, int], title: str) -> Markup:
    """Return a bar with a part for each status."""
    present = {status: counts[status] for status in ITEM_STATUSES if counts.get(status)}
    total = sum(present.values()) or 1
    room = _BAR_WIDTH - _LEAST * len(present)
    parts, left = [], 0.0
    for status, count in present.items():
        width = _LEAST + room * count / total
        parts.append(element("rect", x=left, y=0, width=width, height=_BAR_HEIGHT, class_=f"item {status}"))
        left += width
    return picture(_BAR_WIDTH, _BAR_HEIGHT, title, parts, class_="item-counts", stretch=True)


def count_per_cell(items: int) -> int:
    """Return the number of items that share a cell of the strip."""
    return max(1, ceil(items / MOST_CELLS))


def draw_strip(statuses: bytes, title: str) -> Markup:
    """Return a grid with a cell for each item, in order. Cells of a status are one path; neighbors are one piece.

    ``statuses`` are positions in ITEM_STATUSES. If several items share a cell, the first status of that list is shown.
    """
    share = count_per_cell(len(statuses))
    cells = statuses if share == 1 else bytes(min(statuses[n : n + share]) for n in range(0, len(statuses), share))
    pieces: list[list[str]] = [[] for _ in ITEM_STATUSES]
    for row, start in enumerate(range(0, len(cells), COLUMNS)):
        for piece in re.finditer(rb"(.)\1*", cells[start : start + COLUMNS], re.DOTALL):
            width = piece.end() - piece.start()
            pieces[piece[1][0]].append(f"M{piece.start()} {row}h{width}v1h-{width}z")
    parts = [
        element("path", d="".join(found), class_=f"item {status}")
        for status, found in zip(ITEM_STATUSES, pieces, strict=True)
        if found
    ]
    width, height = min(max(len(cells), _LEAST_COLUMNS), COLUMNS), max(ceil(len(cells) / COLUMNS), 1)
    return picture(width, height, title, parts, class_="item-strip", stretch=True)


def draw_histogram(succeeded: Sequence[float], failed: Sequence[float], title: str) -> Markup:
    """Return how long items took: a column for each range of seconds, the failed ones on top."""
    longest = max([*succeeded, *failed], default=0.0) or 1.0
    height, width = 100.0, 600.0
    bins = [[0, 0] for _ in range(_BINS)]
    for kind, lengths in enumerate((succeeded, failed)):
        for length in lengths:
            bins[min(int(length / longest * _BINS), _BINS - 1)][kind] += 1
    most = max(sum(one) for one in bins) or 1
    step = width / _BINS
    paths = ["", ""]
    for number, (good, bad) in enumerate(bins):
        floor = height
        for kind, count in enumerate((good, bad)):
            if count:
                size = max(height * count / most, 1.0)
                paths[kind] += f"M{number * step:g} {floor:.1f}v{-size:.1f}h{step - 2:g}v{size:.1f}z"
                floor -= size
    parts = [
        element("path", d=path, class_=f"item {status}")
        for path, status in zip(paths, ("succeeded", "failed"), strict=True)
        if path
    ]
    parts.append(element("path", d=f"M0 {height:g}H{width:g}", class_="axis"))
    parts.append(element("text", "0 s", x=0, y=height + 14, class_="label"))
    end = element("text", format_duration(longest), x=width, y=height + 14, text_anchor="end", class_="label")
    return picture(width, height + 18, title, [*parts, end], class_="histogram")
