"""One execution: what failed and why, its timeline, its graph, its states and its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from nightferry.backend.errors import Refused, Unreachable
from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.interface import Backend
from nightferry.backend.queries import RunFilter
from nightferry.backend.states.causes import explain_cause
from nightferry.backend.states.values import MapSummary, StateExecution
from nightferry.dashboard import json_tree
from nightferry.dashboard.estimates.usual_lengths import UsualLengths
from nightferry.dashboard.pages.executions.graph import build_graph, is_plumbing
from nightferry.dashboard.pages.executions.timeline import LARGEST_MAP, Row, judge_state, make_rows, make_scale
from nightferry.dashboard.rendering import STATUSES, judge
from nightferry.dashboard.svg import graph, timeline
from nightferry.dashboard.svg.items import draw_counts
from nightferry.dashboard.view import View
from nightferry.errors import NightferryError, UnknownName
from nightferry.presentation.durations import format_duration

_MOST_RUNS = 500
_MOST_ROWS = 150
_STATES_PER_PAGE = 200
_MOST_FAILED = 20  # jobs whose last error is read

Maps = dict[tuple[str, int], MapSummary]


def read_execution(view: View) -> WorkflowExecution:
    """Return the execution that the URL names; raises UnknownName."""
    return view.backend.execution(view.path["id"])


def show(view: View) -> Response:
    """Show one execution."""
    backend, execution = view.backend, read_execution(view)
    states = backend.state_history(execution.id, largest_map=LARGEST_MAP)
    maps: Maps = {(one.path, one.visit): one for one in backend.map_summaries(execution.id, largest_map=LARGEST_MAP)}
    found = backend.runs(RunFilter(execution=execution.id), limit=_MOST_RUNS)
    runs = {run.id: view.shown_run(run) for run in found}
    now, ended = view.site.clock.now(), execution.stopped_at is not None
    usual = view.site.get_shared(UsualLengths)
    work = [state for state in states if state.failed or not is_plumbing(state.name, state.type)]
    rows = make_rows(work, maps, runs, usual.find_task, ended=ended, now=now)
    shown = _choose_rows(rows)
    scale = make_scale(shown, execution.started_at, execution.stopped_at or now)
    usual_length = usual.find_workflow(execution.workflow)
    failed = _find_failed(states)
    errors = backend.last_errors([runs[run] for state in failed for run in state.runs[-1:] if run in runs])
    everything = view.text("all") == "1"
    page = view.number("page", 1, 10_000)
    listed = [state for state in states if everything or _is_listed(state)]
    redrive = _try_redrive(backend, execution, states, maps)
    cause = explain_cause(execution.cause) if execution.cause else None
    return view.page(
        "execution.html",
        title=f"Execution {execution.id}",
        json=view.as_json and _describe(execution, cause, states, maps, redrive),
        live=not ended,
        execution=execution,
        cause=cause,
        status_name=judge(execution),
        took=(execution.stopped_at or now) - execution.started_at,
        usual=usual_length,
        expected_end=None if ended or usual_length is None else execution.started_at + timedelta(seconds=usual_length),
        failed=[(state, runs.get(state.runs[-1]) if state.runs else None, errors) for state in failed],
        current=Counter(
            state.name for state in states if state.exited_at is None and state.type not in ("Map", "Parallel")
        ).most_common(),
        redrive=redrive,
        rows=[(row, _draw_row(row, scale, now)) for row in shown],
        row_count=len(rows),
        cuts=[(end - begin, begin) for begin, end in scale.cuts],
        scale=scale,
        graph=_draw_graph(view, execution, states, maps, now, everything=everything),
        everything=everything,
        states=[(state, judge_state(state, ended=ended)) for state in listed[(page - 1) * _STATES_PER_PAGE :]][
            :_STATES_PER_PAGE
        ],
        state_count=len(states),
        listed_count=len(listed),
        hidden_count=len(states) - len(listed),
        page_number=page,
        page_count=max(1, -(-len(listed) // _STATES_PER_PAGE)),
        last_states={state.name: state for state in states},
        maps=maps,
        largest_map=LARGEST_MAP,
        draw_counts=_draw_counts,
        input=json_tree.draw(execution.input, view.site.redactor),
        output=json_tree.draw(execution.output, view.site.redactor) if execution.status == "SUCCEEDED" else None,
        now=now,
    )


def _is_listed(state: StateExecution) -> bool:
    return state.failed or not (is_plumbing(state.name, state.type) or state.type == "Succeed")


def _choose_rows(rows: list[Row]) -> list[Row]:
    """Return the rows that are drawn. Of too many, those that failed or run, and the last others, in order."""
    if len(rows) <= _MOST_ROWS:
        return rows
    ranked = sorted(range(len(rows)), key=lambda n: (rows[n].status == "succeeded", -n))
    return [rows[n] for n in sorted(ranked[:_MOST_ROWS])]


def _find_failed(states: Sequence[StateExecution]) -> list[StateExecution]:
    """Return the jobs that failed, those whose failure ended the execution first. What contains them is left out."""
    failed = [state for state in states if state.failed]
    inner = [one for one in failed if not any(_is_within(other, one) for other in failed)]
    return sorted(inner, key=lambda state: (state.left, state.type != "Task"))[:_MOST_FAILED]


def _is_within(state: StateExecution, outer: StateExecution) -> bool:
    return state.path.startswith((f"{outer.path}[", f"{outer.path} / "))


def _try_redrive(
    backend: Backend, execution: WorkflowExecution, states: Sequence[StateExecution], maps: Maps
) -> tuple[bool, str] | None:
    """Return whether a redrive is possible, and what it would do or why not; None if the execution did not fail."""
    if execution.stopped_at is None or execution.status == "SUCCEEDED":
        return None
    try:
        backend.redrive(execution.id, dry_run=True)
    except (Unreachable, Refused) as error:
        return False, f"Whether a redrive is possible is not known. {error}"
    except NightferryError as error:
        return False, str(error)
    failed = [state for state in states if state.failed and not state.left]
    names = list(dict.fromkeys(state.path for state in failed if state.type not in ("Map", "Parallel")))
    open_maps = {(state.path, state.visit) for state in failed}
    again = [
        f"{one.counts['failed'] + one.counts['stopped']:,} of {one.total:,} items of {one.path}"
        for key, one in maps.items()
        if key in open_maps and one.total > LARGEST_MAP and one.counts["failed"] + one.counts["stopped"]
    ]
    kept = sum(1 for state in states if state.type == "Task" and not state.failed and state.exited_at is not None)
    where = ", ".join([*names[:5], *(["…"] if len(names) > 5 else []), *again]) or "the state that failed"
    jobs = "1 job that succeeded does" if kept == 1 else f"{kept:,} jobs that succeeded do"
    return True, f"A redrive continues at {where}." + (f" {jobs} not run again." if kept else "")


def _draw_row(row: Row, scale: Any, now: datetime) -> Any:
    end = row.state.exited_at or now
    length = format_duration(max((end - row.state.entered_at).total_seconds(), 0))
    tries = f", {row.state.attempts} attempts" if row.state.attempts > 1 else ""
    usual = f", usually {format_duration(row.usual)}" if row.usual is not None else ""
    return timeline.draw(scale, row.spans, row.usual, f"{STATUSES[row.status][1]}, {length}{tries}{usual}")


def _draw_counts(summary: MapSummary) -> Any:
    return draw_counts(summary.counts, describe_counts(summary))


def describe_counts(summary: MapSummary) -> str:
    """Return the counts of a Map's items as text."""
    parts = [f"{count:,} {status}" for status, count in summary.counts.items() if count]
    return f"{summary.total:,} items: {', '.join(parts)}" if parts else "no items"


def _draw_graph(
    view: View,
    execution: WorkflowExecution,
    states: Sequence[StateExecution],
    maps: Maps,
    now: datetime,
    *,
    everything: bool,
) -> Any:
    """Return the picture and the graph as a value, or None if the definition cannot be read."""
    try:
        definition = view.backend.definition(execution.id)
    except (Refused, UnknownName):  # the right to read definitions is not needed for anything else
        return None
    by_name: dict[str, list[StateExecution]] = {}
    for state in states:
        by_name.setdefault(state.name, []).append(state)
    counts = {path_visit: summary for path_visit, summary in maps.items() if summary.total}
    ended = execution.stopped_at is not None

    def describe(name: str, kind: str) -> tuple[str, str, str]:
        passes = by_name.get(name, [])
        if not passes:
            return "", "", ""
        found = [judge_state(one, ended=ended) for one in passes]
        status = next(one for one in ("failed", "open", "stopped", "succeeded") if one in found)
        last = passes[-1]
        if kind == "Map" and (summary := counts.get((last.path, last.visit))) is not None:
            done = summary.counts["succeeded"]
            note = f"{done:,} of {summary.total:,} items succeeded"
        elif len(passes) > 1:
            note = f"{found.count('succeeded'):,} of {len(passes):,} succeeded"
        else:
            note = format_duration(max(((last.exited_at or now) - last.entered_at).total_seconds(), 0))
        return status, STATUSES[status][0], note

    built = build_graph(definition, describe, everything=everything)
    return graph.draw(built, f"Graph of {execution.workflow}. The list of states has the same content."), built


def _describe(
    execution: WorkflowExecution,
    cause: str | None,
    states: Sequence[StateExecution],
    maps: Maps,
    redrive: tuple[bool, str] | None,
) -> dict[str, Any]:
    return {
        **vars(execution),
        "explanation": cause,
        "redrive": None if redrive is None else {"possible": redrive[0], "text": redrive[1]},
        "states": [asdict(state) for state in states],
        "maps": [asdict(summary) for summary in maps.values()],
    }
