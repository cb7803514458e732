"""Figures of boxes and arrows as SVG files, with the layout and the drawing functions of the dashboard.

A figure has its own background and both palettes, so that it is readable on every page: GitHub and the site show it as
a picture, which has the theme of the system instead of that of the page. In the layout, a label of an edge is a box
without a border, so that texts never overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element
from nightferry.dashboard.svg.layout import Key, Place, Point, lay_out

Kind = Literal["plain", "start", "existing", "good", "bad", "idle", "strong", "group"]
TITLE_SIZE, NOTE_SIZE = 14.5, 13.5
LINE = 18.0
MARGIN = 20.0
MAX_WIDTH = 1000.0
"""Above it, the smallest text has less than 12 pixels on a page of 900 pixels."""

_PADDING = 12.0
_COLUMN_GAP = 44.0
_PANEL_GAP = 40.0
_CORNER = 6.0
_NARROW, _WIDE = "iljtfrI.,:;'|()[]!-/ ", "mwMW@%—→"

STYLE = """
svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.page { fill: #ffffff; stroke: #d5dbe3; }
.plain { fill: #eef3fa; stroke: #6d86a8; }
.start { fill: #fdf3dc; stroke: #a9791c; }
.strong { fill: #e2e9ff; stroke: #3f5fc4; stroke-width: 2; }
.existing { fill: #ffffff; stroke: #6b7480; stroke-dasharray: 5 4; }
.good { fill: #e3f5e7; stroke: #2f8547; }
.bad { fill: #fde8e6; stroke: #c0392f; }
.idle { fill: #f1f1f3; stroke: #7b7f87; }
.group { fill: none; stroke: #aab4c0; stroke-dasharray: 2 4; }
.title, .heading { fill: #1b2430; font-size: 14.5px; font-weight: 600; }
.heading { text-decoration: underline; text-underline-offset: 5px; }
.note, .label { fill: #46515f; font-size: 13.5px; }
.label { font-style: italic; }
.edge { stroke: #66758a; stroke-width: 1.6; fill: none; stroke-linecap: round; stroke-linejoin: round; }
.edge.failure { stroke: #c0392f; stroke-dasharray: 5 4; }
.edge.weak { stroke-dasharray: 2 4; }
@media (prefers-color-scheme: dark) {
.page { fill: #11161d; stroke: #2d3642; }
.plain { fill: #1b2735; stroke: #6f8db3; }
.start { fill: #33290f; stroke: #cfa24a; }
.strong { fill: #1d2749; stroke: #8ba4f5; }
.existing { fill: #11161d; stroke: #8d97a5; }
.good { fill: #15301d; stroke: #57b174; }
.bad { fill: #3a1b19; stroke: #ec7b70; }
.idle { fill: #22262c; stroke: #8e949d; }
.group { stroke: #4b5664; }
.title, .heading { fill: #eef2f7; }
.note, .label { fill: #b3bfcd; }
.edge { stroke: #8c9bb0; }
.edge.failure { stroke: #ec7b70; }
}
"""


@dataclass(frozen=True)
class Box:
    """A box with a title and further lines."""

    key: str
    title: str
    notes: tuple[str, ...] = ()
    kind: Kind = "plain"

    @property
    def size(self) -> tuple[float, float]:
        """The width and height that its texts need."""
        widths = [measure(self.title, TITLE_SIZE, bold=True), *(measure(note, NOTE_SIZE) for note in self.notes)]
        return max(widths) + 2 * _PADDING, LINE * (1 + len(self.notes)) + 1.4 * _PADDING


@dataclass(frozen=True)
class Edge:
    """An arrow from one box to another. The lines of the label are separated by line breaks."""

    start: str
    end: str
    label: str = ""
    kind: Literal["", "failure", "weak"] = ""


@dataclass(frozen=True)
class Panel:
    """A part of a figure, with a heading if the figure has several."""

    boxes: Sequence[Box]
    edges: Sequence[Edge]
    heading: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure. ``name`` is that of its file; the title and the description are read by screen readers.

    The panels stand in columns. The lines of ``captions`` stand below them.
    """

    name: str
    title: str
    description: str
    columns: Sequence[Sequence[Panel]]
    captions: Sequence[str] = ()
    gap_x: float = 24.0
    gap_y: float = 34.0


def measure(text: str, size: float, *, bold: bool = False) -> float:
    """Return a width that the text has at most in the usual system fonts."""
    units = sum(
        0.40 if sign in _NARROW else 0.95 if sign in _WIDE else 0.72 if sign.isupper() else 0.60 for sign in text
    )
    return units * size * (1.1 if bold else 1.0)


def draw(figure: Figure) -> Markup:
    """Return the figure as the text of an SVG file."""
    shapes: list[Markup] = []
    x = height = 0.0
    for number, column in enumerate(figure.columns):
        x += _COLUMN_GAP if number else 0.0
        drawn = [(panel, *_draw_panel(panel, figure)) for panel in column]
        width = max(max(size[0], measure(panel.heading, TITLE_SIZE, bold=True)) for panel, _, size in drawn)
        y = 0.0
        for panel, parts, size in drawn:
            y += _PANEL_GAP if y else 0.0
            if panel.heading:
                shapes.append(element("text", panel.heading, x=x, y=y + 13.5, class_="heading"))
                y += LINE + 14
            shapes.append(element("g", *parts, transform=f"translate({x + (width - size[0]) / 2:.1f} {y:.1f})"))
            y += size[1]
        x, height = x + width, max(height, y)
    for caption in figure.captions:
        height += LINE if caption is not figure.captions[0] else LINE + 12
        shapes.append(element("text", caption, x=0, y=height - 4, class_="note"))
        x = max(x, measure(caption, NOTE_SIZE))
    return finish(figure.title, figure.description, x, height, shapes)


def _draw_panel(panel: Panel, figure: Figure) -> tuple[list[Markup], tuple[float, float]]:
    """Return the shapes of a panel, and its width and height."""
    sizes: dict[Key, tuple[float, float]] = {box.key: box.size for box in panel.boxes}
    parts: list[tuple[Key, Key]] = []
    owners: list[tuple[Edge, bool]] = []  # the edge of each part, and whether it ends with the part
    for number, edge in enumerate(panel.edges):
        if not edge.label:
            parts.append((edge.start, edge.end))
            owners.append((edge, True))
            continue
        label: Key = ("label", number)
        lines = edge.label.split("\n")
        sizes[label] = max(measure(line, NOTE_SIZE) for line in lines) + 6, LINE * len(lines) + 2
        parts += [(edge.start, label), (label, edge.end)]
        owners += [(edge, False), (edge, True)]
    layout = lay_out(sizes, parts, gap_x=figure.gap_x, gap_y=figure.gap_y)
    ways = _spread(layout.lines, parts, layout.places)
    shapes = [_draw_edge(points, edge.kind, ends) for points, (edge, ends) in zip(ways, owners, strict=True)]
    for number, edge in enumerate(panel.edges):
        if edge.label:
            shapes += _draw_label(edge.label, layout.places["label", number])
    for box in panel.boxes:
        shapes += draw_box(box, layout.places[box.key])
    return shapes, (layout.width, layout.height)


def finish(
    title: str, description: str, width: float, height: float, shapes: Iterable[Markup], *, style: str = ""
) -> Markup:
    """Return the text of an SVG file with these shapes, whose places begin at 0, and a margin around them."""
    full_width, full_height = round(width + 2 * MARGIN), round(height + 2 * MARGIN)
    page = element("rect", x=0.5, y=0.5, width=full_width - 1, height=full_height - 1, rx=8, class_="page")
    drawing = element(
        "svg",
        *("\n", element("title", title, id="title"), "\n", element("desc", description, id="description")),
        *("\n", Markup("<style>{}</style>").format(Markup(STYLE + style)), "\n", page, "\n"),
        element(
            "g",
            *(part for shape in shapes for part in (Markup("\n"), shape)),
            transform=f"translate({MARGIN:g} {MARGIN:g})",
        ),
        "\n",
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        aria_labelledby="title description",
        viewBox=f"0 0 {full_width} {full_height}",
        width=full_width,
        height=full_height,
    )
    return drawing + "\n"


def draw_box(box: Box, place: Place) -> list[Markup]:
    """Return the rectangle and the centered texts of a box."""
    size = {"x": place.x, "y": place.y, "width": place.width, "height": place.height}
    shapes = [element("rect", **size, rx=6, class_=box.kind)]
    middle = place.x + place.width / 2
    top = place.y + (place.height - LINE * (1 + len(box.notes))) / 2 + 13.5
    for number, line in enumerate((box.title, *box.notes)):
        shapes.append(
            element(
                "text",
                line,
                x=middle,
                y=top + number * LINE,
                text_anchor="middle",
                class_="note" if number else "title",
            )
        )
    return shapes


def _draw_label(label: str, place: Place) -> list[Markup]:
    middle = place.x + place.width / 2
    return [
        element("text", line, x=middle, y=place.y + 14 + number * LINE, text_anchor="middle", class_="label")
        for number, line in enumerate(label.split("\n"))
    ]


def _spread(
    lines: Sequence[Sequence[Point]], edges: Sequence[tuple[Key, Key]], places: dict[Key, Place]
) -> list[list[Point]]:
    """Return the lines with places of their own at the sides of the boxes, in the order in which they arrive."""
    moved = [list(points) for points in lines]
    for side in (0, -1):
        by_box: dict[tuple[Key, float], list[int]] = {}
        for number, edge in enumerate(edges):
            by_box.setdefault((edge[side], lines[number][side][1]), []).append(number)
        for (key, _), numbers in by_box.items():
            if not isinstance(key, str):
                continue
            step = min(26.0, (places[key].width - 30) / max(len(numbers), 1))
            numbers.sort(key=lambda number: _find_turn(lines[number], side))
            for order, number in enumerate(numbers):
                shift = (order - (len(numbers) - 1) / 2) * step
                points = moved[number]
                start = points[side][0]
                at = range(len(points)) if side == 0 else range(len(points) - 1, -1, -1)
                for index in at:
                    if lines[number][index][0] != start:
                        break
                    if index in (0, len(points) - 1) and index != at[0]:
                        break
                    points[index] = (points[index][0] + shift, points[index][1])
    return moved


def _find_turn(points: Sequence[Point], side: int) -> float:
    """Return where a line leads to: its first place that is not above or below its end at this side."""
    ordered = points if side == 0 else points[::-1]
    return next((x for x, _ in ordered if abs(x - ordered[0][0]) > 0.5), ordered[0][0])


def _draw_edge(points: Sequence[Point], kind: str, has_head: bool) -> Markup:
    """Return a smooth line, which is straight where it passes boxes. A line back has round corners."""
    is_loop = any(abs(y - to_y) < 0.5 for (_, y), (_, to_y) in pairwise(points))
    path = _trace_corners(points) if is_loop else _trace_curves(points)
    head = "m-4 -6l4 6l4 -6" if has_head else ""
    return element("path", d=path + head, class_=f"edge {kind}".strip())


def _trace_curves(points: Sequence[Point]) -> str:
    (x, y), *others = points
    path = f"M{x:.1f} {y:.1f}"
    for to_x, to_y in others:
        if abs(to_x - x) < 0.5:
            path += f"L{to_x:.1f} {to_y:.1f}"
        else:
            middle = (y + to_y) / 2
            path += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    return path


def _trace_corners(points: Sequence[Point]) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (at_x, at_y), (to_x, to_y) in zip(points, points[1:], points[2:], strict=False):
        before = _approach(at_x, at_y, x, y)
        after = _approach(at_x, at_y, to_x, to_y)
        path += f"L{before[0]:.1f} {before[1]:.1f}Q{at_x:.1f} {at_y:.1f} {after[0]:.1f} {after[1]:.1f}"
    return path + f"L{points[-1][0]:.1f} {points[-1][1]:.1f}"


def _approach(x: float, y: float, to_x: float, to_y: float) -> Point:
    """Return the place near a corner in the direction of another place."""
    length = max(abs(to_x - x), abs(to_y - y), 0.1)
    part = min(_CORNER / length, 0.5)
    return x + (to_x - x) * part, y + (to_y - y) * part
