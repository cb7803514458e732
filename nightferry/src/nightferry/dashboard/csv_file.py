"""Downloads as CSV. A text that a spreadsheet would evaluate as a formula begins with an apostrophe."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from nightferry.dashboard.view import View
from nightferry.printable import make_printable

Cell = str | int | float | datetime | None

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20|%]|[\t\r\n]")


def respond_csv(view: View, name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Response:
    """Return the rows as a file ``name``, a fixed text. Each text passes through redaction."""
    output = io.StringIO(newline="")
    writer = csv.writer(output)
    writer.writerow(header)
    writer.writerows([_format(view, cell) for cell in row] for row in rows)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(output.getvalue().encode(), 200, headers, "text/csv; charset=utf-8")


def _format(view: View, cell: Cell) -> str | int | float:
    match cell:
        case None:
            return ""
        case datetime():
            return f"{cell.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        case str():
            text = make_printable(str(view.shown(cell)))
            return f"'{text}" if _FORMULA.match(text) else text
    return cell
