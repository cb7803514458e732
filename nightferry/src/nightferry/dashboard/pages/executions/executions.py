"""The list of executions, with a filter."""

from __future__ import annotations

from starlette.responses import Response

from nightferry.backend.queries import OUTCOMES, ExecutionFilter
from nightferry.dashboard.listing import describe_list
from nightferry.dashboard.view import View

_PER_PAGE = 50


def read_filter(view: View) -> ExecutionFilter:
    """Return the filter that the query of a page describes."""
    return ExecutionFilter(
        workflow=view.text("workflow") or None,
        outcome=view.choice("outcome", OUTCOMES),
        since=view.time("since"),
        until=view.time("until"),
        text=view.search(),
    )


def show(view: View) -> Response:
    """Show the executions of the filter, newest first."""
    wanted = read_filter(view)
    page = view.backend.executions(wanted, before=view.cursor(), limit=_PER_PAGE)
    return view.page(
        "executions.html",
        title="Executions",
        json=describe_list("executions", page),
        live=view.cursor() is None,
        executions=list(page),
        next=page.next,
        count=view.backend.count_executions(wanted),
        outcomes=OUTCOMES,
        workflows=sorted(view.catalog.workflows),
        now=view.site.clock.now(),
    )
