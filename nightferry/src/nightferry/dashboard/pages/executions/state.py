"""One pass through a state: its attempts, its input and output, and its events."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from nightferry.backend.states.causes import explain_cause
from nightferry.backend.states.values import AttemptData, StateData
from nightferry.dashboard import json_tree
from nightferry.dashboard.pages.executions.execution import read_execution
from nightferry.dashboard.pages.executions.timeline import judge_state
from nightferry.dashboard.view import BadRequest, View
from nightferry.printable import make_printable
from nightferry.states.machine.history import HistoryEvent

_MOST_EVENTS = 200
_PARTS = ("input", "output")


def show(view: View) -> Response:
    """Show one pass through a state, or one part of its data as a file."""
    execution, visit = read_execution(view), view.number("visit", 1, 1_000_000)
    data = view.backend.state_data(execution.id, view.path["path"], visit)
    part = view.choice("download", _PARTS)
    if part is not None:
        return _download(view, data, part)
    state, ended = data.state, execution.stopped_at is not None
    now = view.site.clock.now()
    return view.page(
        "state.html",
        title=f"State {state.path}",
        json=view.as_json
        and {
            **asdict(state),
            "input": view.shown(data.input),
            "output": view.shown(data.output),
            "cause": data.cause,
            "attempts": [_describe_attempt(view, attempt) for attempt in data.attempts],
            "events": [_describe_event(view, event) for event in data.events[:_MOST_EVENTS]],
        },
        live=state.exited_at is None and not ended,
        execution=execution,
        state=state,
        status_name=judge_state(state, ended=ended),
        cause=explain_cause(data.cause) if data.cause else None,
        attempts=[
            (attempt, explain_cause(attempt.cause) if attempt.cause else None, _draw(view, attempt.parameters))
            for attempt in data.attempts
        ],
        truncated=data.truncated,
        input=_draw(view, data.input),
        output=_draw(view, data.output) if data.exited else None,
        events=[(event, _draw(view, _get_details(event))) for event in data.events[:_MOST_EVENTS]],
        event_count=len(data.events),
        now=now,
    )


def _draw(view: View, value: Any) -> json_tree.Tree:
    return json_tree.draw(value, view.site.redactor)


def _describe_attempt(view: View, attempt: AttemptData) -> dict[str, Any]:
    return {**vars(attempt), "parameters": view.shown(attempt.parameters), "result": view.shown(attempt.result)}


def _get_details(event: HistoryEvent) -> dict[str, Any]:
    """Return the details of an event, with the values of payloads, so that their fields are redacted by name."""
    details = {name: value for name, value in (event.details or {}).items() if not name.endswith("Details")}
    for name in ("input", "output", "parameters", "cause"):
        try:
            details[name] = json.loads(details[name])
        except (KeyError, ValueError, TypeError, RecursionError):
            continue
    return details


def _describe_event(view: View, event: HistoryEvent) -> dict[str, Any]:
    return {"id": event.id, "time": event.timestamp, "type": event.type, **view.shown(_get_details(event))}


def _download(view: View, data: StateData, part: str) -> Response:
    if part == "output" and not data.exited:
        raise BadRequest("The state has no output yet.")
    value = view.shown(data.input if part == "input" else data.output)
    text = make_printable(json.dumps(value, ensure_ascii=False, indent=1, default=str))
    name = f"{part}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Security-Policy": "sandbox"}
    return Response(text.encode(), headers=headers, media_type="text/plain; charset=utf-8")
