"""The keys, the statuses and the rules of the pages."""

from __future__ import annotations

from starlette.responses import Response

from nightferry.dashboard.rendering import STATUSES
from nightferry.dashboard.view import View

KEYS = (
    ("/", "Search"),
    ("j, k", "Next and previous row"),
    ("Enter", "Open the row"),
    ("f", "Only failed ones, in a list"),
    ("g n", "Now"),
    ("g r", "Runs"),
    ("g e", "Executions"),
    ("p", "Pause and continue the live update"),
    ("?", "This page"),
)


def show(view: View) -> Response:
    """Show the help."""
    return view.page("help.html", title="Help", keys=KEYS, statuses=list(STATUSES))
