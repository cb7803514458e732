"""Places of the boxes of a directed graph in layers, from top to bottom.

Edges that close a loop are drawn beside the boxes. A longer edge gets a place in each layer that it passes, so that it
crosses no box. The boxes of a layer are ordered by the average place of what is above or below them, and are
near to it. The result depends only on the arguments and their order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from statistics import fmean

GAP_X, GAP_Y = 24.0, 28.0
_SWEEPS = 4
_ALIGNING_SWEEPS = 8
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


def lay_out(
    sizes: Mapping[Key, tuple[float, float]],
    edges: Sequence[tuple[Key, Key]],
    *,
    gap_x: float = GAP_X,
    gap_y: float = GAP_Y,
) -> Layout:
    """Return the layout of boxes with these sizes; the first box is the start. The gaps are those between boxes."""
    loops = _find_loops(list(sizes), edges)
    forward = [edge for number, edge in enumerate(edges) if number not in loops]
    layers = _assign_layers(list(sizes), forward)
    rows, chains = _build_rows(sizes, layers, forward)
    _order(rows, chains)
    layout = _place(rows, chains, sizes, gap_x, gap_y)
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
    """Return the layer of each box: one below the lowest box that leads to it, or above those to which it leads."""
    layers = dict.fromkeys(keys, 0)
    for _ in keys:
        changed = False
        for start, end in edges:
            if layers[end] <= layers[start]:
                layers[end] = layers[start] + 1
                changed = True
        if not changed:
            break
    ends = {end for _, end in edges}
    for key in keys:
        if key not in ends:
            layers[key] = min((layers[end] - 1 for start, end in edges if start == key), default=0)
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
    above, below = _list_neighbors(chains)
    for sweep in range(_SWEEPS):
        neighbors = above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            places = {key: number / max(len(one) - 1, 1) for one in rows for number, key in enumerate(one)}
            averages = {key: fmean(places[other] for other in neighbors.get(key, [key])) for key in row}
            row.sort(key=averages.__getitem__)


def _place(
    rows: Sequence[Sequence[Key]],
    chains: Sequence[Sequence[Key]],
    sizes: Mapping[Key, tuple[float, float]],
    gap_x: float,
    gap_y: float,
) -> Layout:
    """Return the layout without lines. What an edge passes is a box without width."""
    layout = Layout()
    widths = {key: sizes[key][0] if key in sizes else 0.0 for row in rows for key in row}
    centers = _align(rows, chains, widths, gap_x)
    left = min((centers[key] - width / 2 for key, width in widths.items()), default=0.0)
    y = 0.0
    for row in rows:
        height = max((sizes[key][1] for key in row if key in sizes), default=0.0)
        for key in row:
            x = centers[key] - widths[key] / 2 - left
            layout.places[key] = Place(x, y, widths[key], sizes[key][1] if key in sizes else height)
            layout.width = max(layout.width, x + widths[key])
        y += height + gap_y
    layout.height = max(y - gap_y, 0.0)
    return layout


def _align(
    rows: Sequence[Sequence[Key]], chains: Sequence[Sequence[Key]], widths: Mapping[Key, float], gap: float
) -> dict[Key, float]:
    """Return the centers of the boxes, in the order of their layers, with each near to its neighbors."""
    above, below = _list_neighbors(chains)
    centers: dict[Key, float] = {}
    for row in rows:
        offsets = list(accumulate((_find_distance(widths[a], widths[b], gap) for a, b in pairwise(row)), initial=0.0))
        centers.update({key: offset - offsets[-1] / 2 for key, offset in zip(row, offsets, strict=False)})
    for sweep in range(_ALIGNING_SWEEPS):
        downward = sweep % 2 == 0
        for row in rows if downward else rows[::-1]:
            neighbors = above if downward else below
            wanted = [fmean(centers[other] for other in neighbors.get(key, [key])) for key in row]
            offsets = list(
                accumulate((_find_distance(widths[a], widths[b], gap) for a, b in pairwise(row)), initial=0.0)
            )
            found = _find_nearest_order([one - offset for one, offset in zip(wanted, offsets, strict=False)])
            centers.update({key: one + offset for key, one, offset in zip(row, found, offsets, strict=False)})
    return centers


def _find_distance(left: float, right: float, gap: float) -> float:
    """Return the distance of the centers of two neighbors. Beside an edge, which has no width, the gap is half."""
    return (left + right) / 2 + (gap if left and right else gap / 2)


def _find_nearest_order(wanted: Sequence[float]) -> list[float]:
    """Return the numbers that never decrease and have the least squared distance from the wanted ones."""
    pools: list[tuple[float, int]] = []  # neighbors that share their mean
    for one in wanted:
        pools.append((one, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (second, more), (first, some) = pools.pop(), pools.pop()
            pools.append(((first * some + second * more) / (some + more), some + more))
    return [mean for mean, number in pools for _ in range(number)]


def _list_neighbors(chains: Sequence[Sequence[Key]]) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    """Return the neighbors above and below each key."""
    above: dict[Key, list[Key]] = {}
    below: dict[Key, list[Key]] = {}
    for chain in chains:
        for upper, lower in pairwise(chain):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    return above, below


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
