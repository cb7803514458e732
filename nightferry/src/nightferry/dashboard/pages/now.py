"""The first page: is anything wrong, and what runs now?"""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.dashboard.view import View

_SHOWN = 10
_PERIOD = timedelta(hours=24)


def show(view: View) -> Response:
    """Show what failed in the last 24 hours first, then what is open."""
    since = view.site.clock.now() - _PERIOD
    failed_runs = RunFilter(outcome="failed", since=since)
    failed_executions = ExecutionFilter(outcome="failed", since=since)
    backend = view.backend
    return view.page(
        "now.html",
        title="Now",
        live=True,
        since=since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        failed_executions=list(backend.executions(failed_executions, limit=_SHOWN)),
        failed_runs=[view.shown_run(run) for run in backend.runs(failed_runs, limit=_SHOWN)],
        count_failed_executions=backend.count_executions(failed_executions),
        count_failed_runs=backend.count_runs(failed_runs),
        open_executions=list(backend.executions(ExecutionFilter(outcome="open"), limit=_SHOWN)),
        open_runs=[view.shown_run(run) for run in backend.runs(RunFilter(outcome="open"), limit=_SHOWN)],
        count_open_runs=backend.count_runs(RunFilter(outcome="open")),
        now=view.site.clock.now(),
    )
