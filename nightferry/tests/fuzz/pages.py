"""Parsers of what a browser sends to the dashboard, and of the payloads and lines that its pages read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.datastructures import URL, Headers

from nightferry.backend.states import data, map_columns
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.costs import fires
from nightferry.dashboard import view
from nightferry.dashboard.access import Access, make_code
from nightferry.dashboard.pages.executions import state
from nightferry.job.redaction import Redactor
from nightferry.local import engine_status
from nightferry.presentation import comparison
from nightferry.states.machine.history import HistoryEvent
from nightferry.testing.fuzzing import Parser, from_json, from_text

_NOW = 1_790_000_000.0
_TOKEN = "a-token-for-tests-with-many-characters"
_QUERY_READERS = (
    view.View.text,
    view.View.search,
    view.View.choice,
    view.View.number,
    view.View.time,
    view.View.cursor,
)


class _Site:
    """As much of a site as the query of a page needs."""

    catalog = Catalog("shop", image=Image("shop"))
    redactor = Redactor()
    name = "local"


def _make_view(query: str = "", body: bytes = b"") -> view.View:
    headers = Headers({"content-type": "application/x-www-form-urlencoded"})
    return view.View(
        _Site(), None, url=URL(f"/local/runs?{query}"), headers=headers, path={}, zone=ZoneInfo("America/New_York"),  # type: ignore[arg-type]
        body=body,
    )  # fmt: skip


def _read_query(text: str) -> Any:
    query = _make_view(quote(text, safe="=&%+", errors="surrogateescape"))
    return (
        query.search(), query.choice("outcome", ("failed", "open")), query.number("days", 7, 31), query.time("since"),
        query.cursor(), query.with_query(before=None),
    )  # fmt: skip


def _make_access() -> Access:
    return Access(_TOKEN, ["http://127.0.0.1:8471"], clock=lambda: _NOW)


PARSERS = [
    Parser(
        "query of a page",
        from_text(_read_query),
        lambda: [
            b"q=dor&outcome=failed&days=3&since=2h&before=2026-11-30T02:00:00.000000Z~0123abcd",
            b"since=2026-11-01T01:30&q=%C3%A9&days=1&outcome=",
        ],
        (view.BadRequest,),
        _QUERY_READERS,
        words=(b"since=", b"before=", b"days=", b"outcome=", b"q=", b"2026-11-01T01:30:00-04:00", b"~"),
        weight=10,
    ),
    Parser(
        "body of a form",
        lambda body: _make_view(body=body).form,
        lambda: [b"reason=done&step=act&field=a&field=b", b"a=%C3%A9"],
        (view.BadRequest,),
        (view.View.form.fget,),  # type: ignore[attr-defined]
        weight=5,
    ),
    Parser(
        "login code",
        from_text(lambda text: _make_access().log_in(text)),
        lambda: [make_code(_TOKEN, 8471, _NOW).encode()],
        (),
        (Access.log_in,),
        weight=5,
    ),
    Parser(
        "month",
        from_text(fires.Month.parse),
        lambda: [b"2026-11", b"2027-03"],
        (fires.InvalidMonth,),
        (fires.Month.parse.__func__,),  # type: ignore[attr-defined]
        weight=2,
    ),
    Parser(
        "payload of a state",
        from_text(
            lambda text: (data._parse(text), data.list_tasks(text), map_columns.find_key(text, Redactor().redact_value))
        ),
        lambda: [
            json.dumps(value).encode()
            for value in ({"Tasks": [{"TaskArn": "arn:aws:ecs:r:1:task/c/0123"}]}, {"Items": [{"id": 7}]}, "file", [1])
        ],
        (),
        (data._parse, data.list_tasks, map_columns.find_key, map_columns._describe),
        weight=10,
    ),
    Parser(
        "details of an event",
        from_json(
            lambda value: state._get_details(
                HistoryEvent(2, 1, "TaskFailed", fires.Month(2026, 11).begin, value if isinstance(value, dict) else {})
            )
        ),
        lambda: [
            json.dumps(
                {"input": '{"a": 1}', "cause": "no", "parameters": "[1]", "stateEnteredEventDetails": {}}
            ).encode()
        ],
        (),
        (state._get_details,),
        weight=5,
    ),
    Parser(
        "values of two runs",
        from_json(comparison.flatten),
        lambda: [json.dumps({"a": [1, {"b": "2"}], "c": None, "d": "[3]"}).encode()],
        (),
        (comparison.flatten, comparison._is_plain),
        weight=5,
    ),
    Parser(
        "line of the engine's log",
        engine_status._parse_message,
        lambda: [b'{"time": "2026-11-30T02:00:00+00:00", "level": "ERROR", "message": "The disk is full."}\n'],
        (),
        (engine_status._parse_message,),
        weight=5,
    ),
]
