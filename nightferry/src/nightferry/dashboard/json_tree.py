"""A value of JSON as a folding tree. A large one is cut; the page offers it as a download.

Only the part that is shown is redacted, field by field, because a payload may have 100,000 values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightferry.dashboard.svg.drawing import element
from nightferry.job.redaction import MASK, Redactor
from nightferry.presentation.quantities import format_quantity
from nightferry.printable import make_printable

_MOST_NODES = 600
_MOST_MEMBERS = 100  # of one object or array
_MOST_CHARACTERS = 1000  # of one text
_MOST_DEPTH = 40
_OPEN_DEPTH, _OPEN_MEMBERS = 2, 25  # levels that are open at first, unless they are longer

_Member = tuple[str, str, Any]  # the label, the name of the field, and the value


@dataclass(frozen=True)
class Tree:
    """The markup of a value, and whether a part of it was left out. ``size`` is the length of its JSON text."""

    markup: Markup
    cut: bool
    size: int


def draw(value: Any, redactor: Redactor) -> Tree:
    """Return the tree of a value."""
    drawing = _Drawing(redactor)
    markup = element("ul", drawing.draw("", "", value, 0), class_="tree")
    return Tree(markup, drawing.cut, len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace")))


class _Drawing:
    """Draws a value until it has the largest number of nodes."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self.cut = False
        self._nodes = 0

    def draw(self, label: str, field: str, value: Any, depth: int) -> Markup:
        """Return the element of a value in a field. An item of an array belongs to the field of the array."""
        self._nodes += 1
        shown = element("span", make_printable(label), class_="key") + ": " if label else Markup("")
        if isinstance(value, dict | list) and value and field and self._redactor.hides(field):
            value = MASK
        if isinstance(value, dict) and value:
            if value.get("Type") == "SecureString" and "Value" in value:  # of the Parameter Store
                value = {**value, "Value": MASK}
            members: Iterable[_Member] = ((self._redactor.redact_key(key), str(key), one) for key, one in value.items())
            return self._draw_members(shown, members, len(value), "member", depth)
        if isinstance(value, list) and value:
            members = ((f"[{number}]", field, item) for number, item in enumerate(value))
            return self._draw_members(shown, members, len(value), "item", depth)
        return element("li", shown, self._draw_leaf(self._redact(field, value)))

    def _redact(self, field: str, value: Any) -> Any:
        return (
            self._redactor.redact_value({field: value})[self._redactor.redact_key(field)]
            if field
            else (self._redactor.redact_value(value))
        )

    def _draw_members(self, label: Markup, members: Iterable[_Member], count: int, kind: str, depth: int) -> Markup:
        summary = element("summary", label, element("span", format_quantity(count, kind), class_="note"))
        is_open = depth < _OPEN_DEPTH and count <= _OPEN_MEMBERS
        inner = element("ul", *self._draw_some(members, count, depth))
        return element("li", element("details", summary, inner, open="" if is_open else None))

    def _draw_some(self, members: Iterable[_Member], count: int, depth: int) -> Iterator[Markup]:
        for number, (label, field, item) in enumerate(members):
            if number == _MOST_MEMBERS or self._nodes >= _MOST_NODES or depth >= _MOST_DEPTH:
                self.cut = True
                yield element("li", f"{count - number:,} more", class_="note")
                return
            yield self.draw(label, field, item, depth + 1)

    def _draw_leaf(self, value: Any) -> Markup:
        if isinstance(value, str) and len(value) > _MOST_CHARACTERS:
            self.cut = True
            more = element("span", f" and {len(value) - _MOST_CHARACTERS:,} more characters", class_="note")
            return element("code", make_printable(json.dumps(value[:_MOST_CHARACTERS], ensure_ascii=False))) + more
        return element("code", make_printable(json.dumps(value, ensure_ascii=False, default=str)))
