"""A builder of SVG elements. It escapes every value and makes it printable, so that its result is safe markup.

The caller redacts texts before: :meth:`nightferry.dashboard.view.View.shown`.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from nightferry.printable import make_printable

Value = str | float


def element(name: str, *children: Markup | str, **attributes: Value | None) -> Markup:
    """Return an element. ``class_`` is written as ``class``, and ``_`` in a name as ``-``. None omits an attribute."""
    written = "".join(
        f' {_format_name(key)}="{escape(format_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup(f"<{escape(name)}{written}/>")  # noqa: S704  # each part is escaped, at less cost than by format
    shown = "".join(child if isinstance(child, Markup) else escape(make_printable(child)) for child in children)
    return Markup(f"<{escape(name)}{written}>{shown}</{escape(name)}>")  # noqa: S704


def picture(
    width: float,
    height: float,
    title: str,
    children: Iterable[Markup],
    *,
    class_: str = "",
    stretch: bool = False,
    natural: bool = False,
) -> Markup:
    """Return a picture with a title. It scales to the width of its container; with ``stretch``, not in proportion.

    If ``natural``, it has its own size.
    """
    return element(
        "svg",
        element("title", title),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        aria_label=title,
        viewBox=f"0 0 {format_value(width)} {format_value(height)}",
        preserveAspectRatio="none" if stretch else None,
        width=width if natural else None,
        height=height if natural else None,
        class_=class_ or None,
    )


def format_value(value: Value) -> str:
    """Return a number with at most two decimals, or the text."""
    return (
        make_printable(value)
        if isinstance(value, str)
        else f"{round(float(value), 2):g}"
        if abs(value) < 1e6
        else f"{value:.0f}"
    )


def _format_name(name: str) -> str:
    return str(escape(name.rstrip("_") if name == "class_" else name.replace("_", "-")))
