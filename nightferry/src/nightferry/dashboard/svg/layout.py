"""Places of the boxes of a directed graph in layers, from top to bottom.

Edges that close a loop are drawn beside the boxes. A longer edge gets a place in each layer that it passes, so that it
crosses no box. The boxes of a layer are ordered by the average place of what is above or below them. The result depends
only on the arguments and their order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

GAP_X, GAP_Y = 24.0, 28.0
_SWEEPS = 4
_LANE = 12.0  # between the edges that close loops

Key = Hashable
Point = tuple[float, float]


@dataclass(frozen=True)
class Place:
    """The upper left corner of a box, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass
class Layout:
    """The places of the boxes, and the points of the edges, in the order of the arguments."""

    width: float = 0.0
    height: float = 0.0
    places: dict[Key, Place] = field(default_factory=dict)
    lines: list[list[Point]] = field(default_factory=list)


def lay_out(sizes: Mapping[Key, tuple[float, float]], edges: Sequence[tuple[Key, Key]]) -> Layout:
    """Return the layout of boxes with these sizes; the first box is the start."""
    loops = _find_loops(list(sizes), edges)
    forward = [edge for number, edge in enumerate(edges) if number not in loops]
    layers = _assign_layers(list(sizes), forward)
    rows, chains = _build_rows(sizes, layers, forward)
    _order(rows, chains)
    layout = _place(rows, sizes)
    passing = dict(zip(forward, chains, strict=True))
    lane = layout.width
    for number, edge in enumerate(edges):
        if number in loops:
            lane += _LANE
            bottom = _find_bottom(edge[0], rows, layout)
            layout.lines.append(_draw_loop(layout.places[edge[0]], layout.places[edge[1]], bottom, lane))
        else:
            bottom = _find_bottom(edge[0], rows, layout)
            layout.lines.append(_draw_line([layout.places[key] for key in passing[edge]], bottom))
    layout.width = lane + (_LANE if loops else 0)
    layout.places = {key: place for key, place in layout.places.items() if key in sizes}
    return layout


def _find_loops(keys: Sequence[Key], edges: Sequence[tuple[Key, Key]]) -> set[int]:
    """Return the numbers of the edges that lead back to a box on the way to them."""
    leaving: dict[Key, list[int]] = {key: [] for key in keys}
    for number, (start, _) in enumerate(edges):
        leaving[start].append(number)
    loops: set[int] = set()
    seen: set[Key] = set()
    for root in keys:
        if root in seen:
            continue
        seen.add(root)
        way: dict[Key, list[int]] = {root: leaving[root][::-1]}  # the boxes on the way, with the edges to follow
        while way:
            key = next(reversed(way))
            if not way[key]:
                del way[key]
                continue
            number = way[key].pop()
            target = edges[number][1]
            if target in way:
                loops.add(number)
            elif target not in seen:
                seen.add(target)
                way[target] = leaving[target][::-1]
    return loops


def _assign_layers(keys: Sequence[Key], edges: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """Return the layer of each box: one below the lowest box that leads to it."""
    layers = dict.fromkeys(keys, 0)
    for _ in keys:
        changed = False
        for start, end in edges:
            if layers[end] <= layers[start]:
                layers[end] = layers[start] + 1
                changed = True
        if not changed:
            break
    return layers


def _build_rows(
    sizes: Mapping[Key, tuple[float, float]], layers: Mapping[Key, int], edges: Sequence[tuple[Key, Key]]
) -> tuple[list[list[Key]], list[list[Key]]]:
    """Return the keys of each layer, and the keys that each edge passes, with new keys in the layers between."""
    rows: list[list[Key]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for key in sizes:
        rows[layers[key]].append(key)
    chains = []
    for number, (start, end) in enumerate(edges):
        between: list[Key] = [("edge", number, layer) for layer in range(layers[start] + 1, layers[end])]
        for layer, key in enumerate(between, layers[start] + 1):
            rows[layer].append(key)
        chains.append([start, *between, end])
    return rows, chains


def _order(rows: list[list[Key]], chains: Sequence[Sequence[Key]]) -> None:
    """Order each layer by the average place of the neighbors in the layer above, then below, several times."""
    above: dict[Key, list[Key]] = {}
    below: dict[Key, list[Key]] = {}
    for chain in chains:
        for upper, lower in pairwise(chain):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    for sweep in range(_SWEEPS):
        neighbors = above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            places = {key: number / max(len(one) - 1, 1) for one in rows for number, key in enumerate(one)}
            averages = {key: fmean(places[other] for other in neighbors.get(key, [key])) for key in row}
            row.sort(key=averages.__getitem__)


def _place(rows: Sequence[Sequence[Key]], sizes: Mapping[Key, tuple[float, float]]) -> Layout:
    """Return the layout with each layer centered, without lines. What an edge passes is a box without width."""
    layout = Layout()
    measured = [[sizes.get(key, (0.0, 0.0)) for key in row] for row in rows]
    widths = [sum(width for width, _ in row) + GAP_X * (len(row) - 1) for row in measured]
    layout.width = max(widths, default=0.0)
    y = 0.0
    for row, found, width in zip(rows, measured, widths, strict=True):
        x, height = (layout.width - width) / 2, max((height for _, height in found), default=0.0)
        for key, (box_width, box_height) in zip(row, found, strict=True):
            layout.places[key] = Place(x, y, box_width, box_height if key in sizes else height)
            x += box_width + GAP_X
        y += height + GAP_Y
    layout.height = max(y - GAP_Y, 0.0)
    return layout


def _find_bottom(key: Key, rows: Sequence[Sequence[Key]], layout: Layout) -> float:
    """Return the lower end of a box's layer, to which a line goes straight down, because its boxes differ in height."""
    row = next(row for row in rows if key in row)
    return max(layout.places[other].y + layout.places[other].height for other in row)


def _draw_line(places: Sequence[Place], bottom: float) -> list[Point]:
    first, *between, last = places
    middle = first.x + first.width / 2
    points = [(middle, first.y + first.height)]
    if bottom > points[0][1]:
        points.append((middle, bottom))
    for place in between:
        points += [(place.x, place.y), (place.x, place.y + place.height)]
    return [*points, (last.x + last.width / 2, last.y)]


def _draw_loop(start: Place, end: Place, bottom: float, lane: float) -> list[Point]:
    """Return the way below the start's layer, up a lane beside all boxes, and into the end from above."""
    from_x, to_x = start.x + start.width / 2 + _LANE, end.x + end.width / 2 + _LANE
    below, above = bottom + GAP_Y / 3, end.y - GAP_Y / 2
    return [
        (from_x, start.y + start.height),
        (from_x, below),
        (lane, below),
        (lane, above),
        (to_x, above),
        (to_x, end.y),
    ]
