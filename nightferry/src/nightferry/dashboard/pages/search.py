"""Find a run, an execution, a task, a workflow or a processed file by its ID or name."""

from __future__ import annotations

from starlette.responses import Response

from nightferry.backend.errors import Refused, Unreachable
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.reports import ReportFilter
from nightferry.dashboard.pages.files.files import describe_rows
from nightferry.dashboard.view import ID, View
from nightferry.errors import NightferryError

_SHOWN = 20


def show(view: View) -> Response:
    """Go to the page of the only match by name or ID, or show all matches."""
    text = view.search()
    if text in view.catalog.tasks:
        return view.redirect(view.link("/runs", task=text))
    if text in view.catalog.workflows:
        return view.redirect(view.link("/executions", workflow=text))
    if ID.fullmatch(text) and (found := _find_by_id(view, text)):
        return view.redirect(found)
    runs = view.backend.runs(RunFilter(text=text), limit=_SHOWN) if text else ()
    executions = view.backend.executions(ExecutionFilter(text=text), limit=_SHOWN) if text else ()
    return view.page(
        "search.html",
        title="Search",
        json={"runs": [run.id for run in runs], "executions": [execution.id for execution in executions]},
        q=text,
        runs=[view.shown_run(run) for run in runs],
        executions=list(executions),
        files=describe_rows(view, view.backend.reports(ReportFilter(text=text), limit=_SHOWN) if text else ()),
        tasks=[name for name in sorted(view.catalog.tasks) if text and text.lower() in name],
        workflows=[name for name in sorted(view.catalog.workflows) if text and text.lower() in name],
        now=view.site.clock.now(),
    )


def _find_by_id(view: View, id: str) -> str | None:
    """Return the page of the run or execution with this ID. Of an ambiguous beginning, the lists show all matches."""
    for find, path in ((view.backend.run, "runs"), (view.backend.execution, "executions")):
        try:
            return view.link(f"/{path}/{find(id).id}")
        except (Unreachable, Refused):
            raise
        except NightferryError:
            continue
    return None
