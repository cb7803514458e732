"""Downloads as CSV. A text that a spreadsheet would evaluate as a formula begins with an apostrophe."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from nightferry.dashboard.streaming import download
from nightferry.dashboard.view import View
from nightferry.printable import make_one_line

Cell = str | int | float | datetime | None

_SIGNS = r"[=+\-@\uff1d\uff0b\uff0d\uff20|%]"  # with which a formula begins
_FORMULA = re.compile(rf"\s*{_SIGNS}")
_LATER_FORMULA = re.compile(rf"(;\s*)(?={_SIGNS})")  # where the spreadsheet's language separates cells by semicolons

Row = Sequence[Cell]

MEDIA_TYPE = "text/csv; charset=utf-8"


def respond_csv(view: View, name: str, header: Sequence[str], read: Callable[[], Iterable[Row]]) -> Response:
    """Return a file ``name``, a fixed text. ``read`` returns the next rows, and none at the end.

    The first rows are read at once, so that an error of them is shown as a page.
    """
    assert view.threads is not None
    parts = [format_rows(view, [header]) + format_rows(view, read())]
    return download(name, lambda: parts.pop() if parts else format_rows(view, read()), view.threads, MEDIA_TYPE)


def format_rows(view: View, rows: Iterable[Row]) -> bytes:
    """Return rows as CSV. Each text passes through redaction."""
    output = io.StringIO(newline="")
    csv.writer(output).writerows([_format(view, cell) for cell in row] for row in rows)
    return output.getvalue().encode()


def _format(view: View, cell: Cell) -> str | int | float:
    match cell:
        case None:
            return ""
        case datetime():
            return f"{cell.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        case str():
            text = make_one_line(str(view.shown(cell)))
            text = _LATER_FORMULA.sub(r"\1'", text)
            return f"'{text}" if _FORMULA.match(text) else text
    return cell
