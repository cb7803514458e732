"""One run: what it did, and why it ended so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from nightferry.backend.errors import Refused
from nightferry.backend.log_lines import parse_line, read_level
from nightferry.backend.log_windows import LogLine
from nightferry.backend.queries import RunFilter
from nightferry.backend.reports import ReportFilter
from nightferry.backend.runs import RunSummary, TaskRun
from nightferry.contract import LogEvent
from nightferry.dashboard.pages.runs.log import find_run
from nightferry.dashboard.pages.runs.log_rows import LogRows, format_place
from nightferry.dashboard.pages.runs.usual_durations import expect_end, find_earlier_runs, find_usual_duration
from nightferry.dashboard.view import View
from nightferry.presentation.inputs import describe_run, format_inputs
from nightferry.presentation.progress import is_progress
from nightferry.presentation.run_ends import advise, explain_exit, get_own_reason

_LAST_LINES = 300
"""The lines at the end of the log in which progress, the end and the last error are searched."""

_CONTEXT = 3  # lines before the last error, and after it
_SHOWN_LINES = 8  # of a run that is open or has succeeded
_NEXT_PERIOD = timedelta(days=30)  # in which the next run of the task is searched
_MIB = 1024**2


@dataclass(frozen=True)
class Tail:
    """What the last lines of a run show; ``problem`` is why they cannot be read."""

    lines: tuple[LogLine, ...] = ()
    error: LogLine | None = None
    progress: tuple[dict[str, Any], ...] = ()
    ended: dict[str, Any] | None = None
    problem: str = ""

    @property
    def excerpt(self) -> Sequence[LogLine]:
        """The last error with the lines around it, or the last lines."""
        if self.error is None:
            return self.lines[-_SHOWN_LINES:]
        index = self.lines.index(self.error)
        return self.lines[max(index - _CONTEXT, 0) : index + _CONTEXT + 1]


def read_tail(view: View, run: TaskRun) -> Tail:
    """Read the last lines of a run. The caller's credentials may not allow to read logs."""
    try:
        lines = view.backend.lines(run, limit=_LAST_LINES).lines
    except Refused as refused:
        return Tail(problem=str(refused))
    error, ended, progress = None, None, dict[str, dict[str, Any]]()
    failed = run.outcome == "failed"
    for line in lines:
        fields = parse_line(line.text)
        if fields is None:
            continue
        if failed and read_level(fields) in ("ERROR", "CRITICAL"):
            error = line
        if is_progress(fields):
            progress[str(fields.get("step"))] = fields
        if fields.get("event") == LogEvent.ENDED:
            ended = fields
    return Tail(lines, error, tuple(progress.values()), ended)


def describe_memory(run: TaskRun, tail: Tail, size: int | None) -> str | None:
    """Return the peak memory of a run compared with its size in MiB, or None if the run has not reported it."""
    peak = (tail.ended or {}).get("peak_memory_bytes")
    if not isinstance(peak, int) or isinstance(peak, bool) or peak <= 0:
        return None
    memory = run.memory or size
    used = f"{peak / _MIB:,.0f} MiB"
    return f"{used} of {memory:,} MiB ({peak / _MIB / memory:.0%})" if memory else used


def find_next(view: View, run: TaskRun) -> RunSummary | None:
    """Return the next run of the same task within a period; None also if the period has very many runs."""
    wanted = RunFilter(task=run.task, since=run.created_at, until=run.created_at + _NEXT_PERIOD)
    runs = view.backend.run_summaries(wanted, limit=500)
    later = [one for one in runs if (one.created_at, one.id) > (run.created_at, run.id)]
    return later[-1] if later and runs.next is None else None


def show(view: View) -> Response:
    """Show the run: its end in words, the last error, progress, times, inputs, and the runs around it."""
    run = find_run(view)
    task = view.catalog.tasks.get(run.task)
    tail = read_tail(view, run)
    earlier = find_earlier_runs(view.backend, run)
    usual = find_usual_duration(earlier)
    now = view.site.clock.now()
    took = None if run.started_at is None else ((run.stopped_at or now) - run.started_at).total_seconds()
    is_alone = run.execution is None
    failed = run.outcome == "failed"
    result = view.backend.result(run)
    reports = () if tail.problem else view.backend.reports(ReportFilter(run=run.id), limit=20)  # from the log on AWS
    repeated_by = view.backend.find_repeat(run.id) if failed and is_alone else None
    if view.as_json:
        return view.json({**describe_run(view.catalog, run), "result": result, "repeated_by": repeated_by,
                          "usual": None if usual is None else asdict(usual), "progress": tail.progress,
                          "end": tail.ended, "reports": [asdict(report) for report in reports]})  # fmt: skip
    shown = view.shown_run(run)
    rows = LogRows(view.site.redactor, view.zone, at=format_place(tail.error) if tail.error else "",
                   page=view.link(f"/runs/{run.id}/log"))  # fmt: skip
    return view.page(
        "run.html",
        title=f"Run of {run.task}",
        live=run.status != "STOPPED",
        run=shown,
        reason=get_own_reason(shown),
        explanation=explain_exit(run),
        advice=[*view.backend.troubleshooting(run), *filter(None, [advise(run)])],
        tail=tail,
        excerpt=rows.render(tail.excerpt),
        progress=[_describe_progress(fields) for fields in tail.progress],
        took=took,
        usual=usual,
        judged=usual.judge(took) if usual is not None and took is not None and run.succeeded else "",
        usually_done=expect_end(run, usual),
        memory=describe_memory(run, tail, None if task is None else task.size.memory),
        inputs={name: value for name, value in format_inputs(_leave_out_empty(shown)).items() if value},
        result=None if result is None else json.dumps(view.shown(result), ensure_ascii=False, indent=2),
        actions=list(_list_actions(view, run, is_repeated=repeated_by is not None)),
        reports=list(reports),
        previous=next(iter(earlier), None),
        following=find_next(view, run),
        repeated_by=repeated_by,
        next_attempt=view.backend.find_planned_retry(run.id) if failed and is_alone and task and task.retry else None,
        attempts=None if task is None or task.retry is None else task.retry.attempts + 1,
        now=now,
    )


def _leave_out_empty(run: TaskRun) -> TaskRun:
    """Return a run without the variables that are empty, such as the time of a start without a schedule."""
    return replace(run, env={name: value for name, value in run.env.items() if value})


def _list_actions(view: View, run: TaskRun, *, is_repeated: bool) -> Iterator[tuple[str, str]]:
    """Yield the forms that may be useful for a run, the most likely first. Each checks the right to its action."""
    if not view.site.actions:
        return
    if run.status != "STOPPED":
        yield view.link(f"/runs/{run.id}/stop"), "Stop …"
        return
    if run.outcome == "failed":
        if run.execution is not None:
            yield view.link(f"/executions/{run.execution}/redrive"), "Redrive the execution …"
        elif not is_repeated:
            yield view.link(f"/runs/{run.id}/redrive"), "Redrive …"
    if run.task in view.catalog.tasks:
        yield view.link(f"/runs/{run.id}/again"), "Run again …"


def _describe_progress(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the progress of a step for a bar. A line of another program may have anything in its fields."""
    done, total, unit = fields["done"], fields.get("total"), fields.get("unit")
    return {
        "step": str(fields.get("step") or "step"),
        "done": done,
        "total": total or None,
        "unit": unit if isinstance(unit, str) else "",
        "ended": fields.get("ended") is True,
    }
