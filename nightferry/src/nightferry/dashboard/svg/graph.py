"""A workflow as a picture: boxes in layers, Parallel and Map states as frames around their branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element, picture
from nightferry.dashboard.svg.layout import GAP_X, Key, Layout, Place, Point, lay_out

_HEIGHT = 42.0
_LEAST_WIDTH, _MOST_CHARACTERS = 120.0, 34
_CHARACTER = 8.4  # the width of a character of a name
_FRAME, _TITLE = 12.0, 40.0
_MARGIN = 16.0


@dataclass(frozen=True)
class Node:
    """A state. ``status`` is a key of the statuses, or empty if the execution did not enter it.

    ``mark`` is the glyph of the status, and ``note`` a short text below the name. ``graphs`` are the branches.
    """

    name: str
    type: str
    status: str = ""
    mark: str = ""
    note: str = ""
    graphs: tuple[Graph, ...] = ()


@dataclass(frozen=True)
class Graph:
    """States and the ways between them. ``on_failure`` are states that only a Catch reaches, as one lane."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str, str], ...] = ()  # from, to, and the kind: next or catch
    on_failure: tuple[Node, ...] = ()


@dataclass
class _Measured:
    """A graph with its layout, and the measured graphs of its nodes by name."""

    graph: Graph
    layout: Layout
    inner: dict[str, list[_Measured]] = field(default_factory=dict)
    lane_height: float = 0.0

    @property
    def size(self) -> tuple[float, float]:
        return self.layout.width, self.layout.height + self.lane_height


def draw(graph: Graph, title: str) -> Markup:
    """Return the picture."""
    measured = _measure(graph)
    width, height = measured.size
    parts = _draw_graph(measured, _MARGIN, _MARGIN)
    return picture(width + 2 * _MARGIN, height + 2 * _MARGIN, title, parts, class_="graph", natural=True)


def _measure(graph: Graph) -> _Measured:
    inner = {node.name: [_measure(one) for one in node.graphs] for node in graph.nodes if node.graphs}
    sizes: dict[Key, tuple[float, float]] = {
        node.name: _measure_node(node, inner.get(node.name, [])) for node in graph.nodes
    }
    layout = lay_out(sizes, [(start, end) for start, end, _ in graph.edges])
    measured = _Measured(graph, layout, inner)
    if graph.on_failure:
        lane = [_measure_node(node, []) for node in graph.on_failure]
        measured.lane_height = _FRAME + _TITLE + sum(height + _FRAME for _, height in lane)
        layout.width = max(layout.width, *(width + 2 * _FRAME for width, _ in lane))
    return measured


def _measure_node(node: Node, inner: Sequence[_Measured]) -> tuple[float, float]:
    characters = max(min(len(node.name), _MOST_CHARACTERS) + 3, len(node.note))
    width = max(_LEAST_WIDTH, characters * _CHARACTER + 16)
    if not inner:
        return width, _HEIGHT
    inside = sum(one.size[0] for one in inner) + GAP_X * (len(inner) - 1) + 2 * _FRAME
    return max(width, inside), max(one.size[1] for one in inner) + _TITLE + _FRAME


def _draw_graph(measured: _Measured, x: float, y: float) -> list[Markup]:
    graph, layout = measured.graph, measured.layout
    parts = [
        _draw_edge([(x + px, y + py) for px, py in points], kind)
        for points, (_, _, kind) in zip(layout.lines, graph.edges, strict=True)
    ]
    for node in graph.nodes:
        place = layout.places[node.name]
        place = Place(x + place.x, y + place.y, place.width, place.height)
        parts += _draw_node(node, place, measured.inner.get(node.name, []))
    if graph.on_failure:
        top = y + layout.height + _FRAME
        size = {"width": layout.width, "height": measured.lane_height - _FRAME}
        parts.append(element("rect", x=x, y=top, **size, rx=6, class_="frame lane"))
        parts.append(element("text", "on failure", x=x + _FRAME, y=top + 18, class_="note"))
        place_y = top + _TITLE - 8
        for node in graph.on_failure:
            width, height = _measure_node(node, [])
            parts += _draw_node(node, Place(x + _FRAME, place_y, width, height), [])
            place_y += height + _FRAME
    return parts


def _draw_node(node: Node, place: Place, inner: Sequence[_Measured]) -> list[Markup]:
    name = node.name if len(node.name) <= _MOST_CHARACTERS else f"{node.name[: _MOST_CHARACTERS - 1]}…"
    shape = {"x": place.x, "y": place.y, "width": place.width, "height": place.height, "rx": 6}
    kind = "frame" if inner else "box"
    parts = [element("rect", **shape, class_=f"{kind} {node.status or 'none'}")]
    text = f"{node.mark} {name}" if node.mark else name
    parts.append(element("text", text, x=place.x + 8, y=place.y + (18 if node.note or inner else 26), class_="name"))
    if node.note:
        parts.append(element("text", node.note, x=place.x + 8, y=place.y + 34, class_="note"))
    left = place.x + _FRAME
    for one in inner:
        parts += _draw_graph(one, left, place.y + _TITLE)
        left += one.size[0] + GAP_X
    return parts


def _draw_edge(points: Sequence[Point], kind: str) -> Markup:
    (x, y), *others = points
    path = f"M{x:.1f} {y:.1f}" + "".join(f"L{px:.1f} {py:.1f}" for px, py in others)
    return element("path", d=f"{path}m-4 -6l4 6l4 -6", class_=f"edge {kind}")
