"""Compare two runs, or two executions: only what differs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from starlette.responses import Response

from nightferry.backend.errors import Refused
from nightferry.backend.executions import ExecutionSummary, WorkflowExecution
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.reports import Report, ReportFilter
from nightferry.backend.runs import TaskRun
from nightferry.dashboard.view import BadRequest, View
from nightferry.errors import UnknownName
from nightferry.presentation.comparison import Comparison, Value, compare_executions, compare_runs

_ID = re.compile(r"[\w.:-]{4,128}", re.ASCII)
_CANDIDATES = 20
_MOST_REPORTS = 500
_LATEST_REPORT = timedelta(minutes=5)  # after the end of what wrote it
_LARGEST_MAP = 1_000  # items whose states are counted

Side = TaskRun | WorkflowExecution


def show(view: View) -> Response:
    """Compare the two sides of the query; with one or none, offer the choice of the other."""
    a, b = _find(view, "a"), _find(view, "b")
    found: list[Comparison] = []
    if a is not None and b is not None:
        found = _compare(view, a, b)
    chosen = a or b
    return view.page(
        "compare.html",
        title="Compare",
        json={"a": a and a.id, "b": b and b.id, "comparisons": [asdict(one) for one in found]},
        a=a,
        b=b,
        kind="task" if isinstance(chosen, TaskRun) else "workflow",
        comparisons=found,
        differing=[one for one in found if one.differences],
        equal=sum(one.equal for one in found),
        candidates=_list_candidates(view, chosen) if chosen is not None and found == [] else [],
    )


def _find(view: View, name: str) -> Side | None:
    id = view.text(name)
    if not id:
        return None
    if not _ID.fullmatch(id):
        raise BadRequest(f"'{name}' is not the ID of a run or an execution.")
    try:
        return view.shown_run(view.backend.run(id))
    except UnknownName:
        return view.backend.execution(id)


def _compare(view: View, a: Side, b: Side) -> list[Comparison]:
    now = view.site.clock.now()
    if isinstance(a, TaskRun) and isinstance(b, TaskRun):
        return compare_runs(
            a, b,
            results=(view.shown(view.backend.result(a)), view.shown(view.backend.result(b))),
            reports=(_list_reports(view, a), _list_reports(view, b)),
            measures=(_measure(view, a), _measure(view, b)),
            now=now,
        )  # fmt: skip
    if isinstance(a, WorkflowExecution) and isinstance(b, WorkflowExecution):
        histories = [view.backend.state_history(one.id, largest_map=_LARGEST_MAP) for one in (a, b)]
        runs = [{run for state in states for run in state.runs} for states in histories]
        return compare_executions(
            _show_execution(view, a), _show_execution(view, b),
            states=(histories[0], histories[1]),
            reports=(_list_reports_of(view, a, runs[0]), _list_reports_of(view, b, runs[1])),
            now=now,
        )  # fmt: skip
    raise BadRequest("A run can be compared with a run, and an execution with an execution.")


def _show_execution(view: View, execution: WorkflowExecution) -> WorkflowExecution:
    """Return an execution whose data may be shown."""
    values = {name: getattr(execution, name) for name in execution.__dataclass_fields__}
    return WorkflowExecution(**values | {"input": view.shown(execution.input), "output": view.shown(execution.output)})


def _measure(view: View, run: TaskRun) -> dict[str, Value]:
    used = view.backend.usage(run.created_at, task=run.task)
    found = next((one for one in used if one.run == run.id), None)
    if found is None or found.peak_memory is None:
        return {}
    return {"peak memory in MiB": round(found.peak_memory / 2**20)}


def _list_reports(view: View, run: TaskRun) -> Sequence[Report]:
    try:
        return view.backend.reports(ReportFilter(run=run.id), limit=_MOST_REPORTS)
    except Refused:  # this account may not read the log
        return ()


def _list_reports_of(view: View, execution: WorkflowExecution, runs: set[str]) -> Sequence[Report]:
    """Return the reports of an execution's runs, read in one query of its period."""
    until = None if execution.stopped_at is None else execution.stopped_at + _LATEST_REPORT
    try:
        found = view.backend.reports(ReportFilter(since=execution.started_at, until=until), limit=_MOST_REPORTS)
    except Refused:
        return ()
    return [report for report in found if report.run in runs]


def _list_candidates(view: View, chosen: Side) -> Sequence[TaskRun | ExecutionSummary]:
    """Return the last runs of the same task, or executions of the same workflow, without the chosen one."""
    found: Sequence[TaskRun | ExecutionSummary]
    if isinstance(chosen, TaskRun):
        found = view.backend.runs(RunFilter(task=chosen.task), limit=_CANDIDATES)
    else:
        found = view.backend.executions(ExecutionFilter(workflow=chosen.workflow), limit=_CANDIDATES)
    return [one for one in found if one.id != chosen.id]
