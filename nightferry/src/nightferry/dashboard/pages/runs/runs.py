"""The list of runs, with a filter."""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import Response

from nightferry.backend.queries import OUTCOMES, RunFilter
from nightferry.dashboard.listing import describe_list
from nightferry.dashboard.view import View

_PER_PAGE = 50


def read_filter(view: View) -> RunFilter:
    """Return the filter that the query of a page describes."""
    return RunFilter(
        task=view.text("task") or None,
        execution=view.text("execution") or None,
        outcome=view.choice("outcome", OUTCOMES),
        since=view.time("since"),
        until=view.time("until"),
        text=view.search(),
    )


def show(view: View) -> Response:
    """Show the runs of the filter, newest first."""
    wanted = read_filter(view)
    page = view.backend.runs(wanted, before=view.cursor(), limit=_PER_PAGE)
    runs = [view.shown_run(run) for run in page]
    return view.page(
        "runs.html",
        title="Runs",
        json=describe_list("runs", page, rows=[asdict(run) for run in runs]),
        live=view.cursor() is None,
        runs=runs,
        next=page.next,
        count=view.backend.count_runs(wanted),
        outcomes=OUTCOMES,
        tasks=sorted(view.catalog.tasks),
        now=view.site.clock.now(),
    )
