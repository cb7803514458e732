"""Templates: each printed value passes through escaping, redaction and :mod:`nightferry.printable`.

Times and durations are printed by functions of the templates, so that they look the same everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.runs import RunSummary
from nightferry.backend.states.causes import explain_cause
from nightferry.job.redaction import Redactor
from nightferry.presentation.durations import format_duration
from nightferry.presentation.quantities import choose_noun, format_quantity
from nightferry.presentation.reports import format_share
from nightferry.presentation.run_ends import describe_end
from nightferry.printable import make_printable

STATUSES = {
    "open": ("◐", "running"),
    "succeeded": ("✓", "succeeded"),
    "failed": ("✕", "failed"),
    "stopped": ("■", "stopped"),
    "queued": ("○", "queued"),
    "interrupted": ("‖", "interrupted"),
    "started": ("✓", "started"),
    "skipped": ("↷", "skipped"),
    "missed": ("✕", "missed"),
    "late": ("▲", "late"),
    "ok": ("✓", "ok"),
    "warning": ("▲", "warning"),
    "unknown": ("?", "not known"),
}
"""The glyph and the word of each status. The color, from the stylesheet, only adds to them."""


class Renderer:
    """The templates of a site. All sites of a process share the compiled ones."""

    def __init__(self, redactor: Redactor, assets: Mapping[str, str], navigation: list[tuple[str, str]]) -> None:
        """``assets`` are the URLs of static files; ``navigation`` has the path and the name of each main page."""
        written = {kind: Markup("{}").format(path) for kind, path in assets.items()}  # digits are not redacted
        self._context = {"redactor": redactor, "assets": written, "navigation": navigation}

    def render(self, template: str, **context: Any) -> str:
        """Return the text of a template."""
        return _open_templates().get_template(template).render(**self._context, **context)


@cache
def _open_templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("nightferry.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        status=render_status, time=_render_time, time_in=render_time, duration=render_duration,
        judge=judge, number=format_number, percent=format_share, describe_end=describe_end,
        explain_cause=explain_cause, noun=choose_noun, quantity=format_quantity,
    )  # fmt: skip
    return environment


@pass_context
def _finalize(context: Context, value: Any) -> Any:
    """Return what a template prints for a value."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return make_printable(context["redactor"].redact_text(value))
    return "" if value is None else value


def make_etag(body: bytes) -> str:
    """Return the entity tag of a response."""
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def judge(entry: RunSummary | ExecutionSummary) -> str:
    """Return the status of a run or an execution, as a key of :data:`STATUSES`."""
    if isinstance(entry, RunSummary):
        return "queued" if entry.status == "QUEUED" else entry.outcome
    return "interrupted" if entry.interrupted else entry.outcome


def render_status(status: str, word: str = "") -> Markup:
    """Return a status as a glyph with its word, or with another one."""
    glyph, usual = STATUSES[status]
    shown = escape(word or usual)
    return Markup(f'<span class="status {status}"><span aria-hidden="true">{glyph}</span> {shown}</span>')  # noqa: S704


def render_time(time: datetime | None, zone: ZoneInfo) -> Markup:
    """Return a time in a zone, with the zone's abbreviation. The element has the time in UTC."""
    if time is None:
        return Markup('<span class="none">–</span>')
    local = time.astimezone(zone)
    iso, shown = f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", f"{local:%Y-%m-%d %H:%M:%S}"
    return Markup(  # noqa: S704  # it has only digits and the zone's abbreviation
        f'<time datetime="{iso}" title="{iso}">{shown} <span class="zone">{local.tzname()}</span></time>'
    )


@pass_context
def _render_time(context: Context, time: datetime | None) -> Markup:
    return render_time(time, context["view"].zone)


def render_duration(length: timedelta | float | None) -> Markup:
    """Return a duration, given as seconds or timedelta, as text: 0.4 s, 12 s, 3 min 5 s, 2 h 4 min."""
    if length is None:
        return Markup('<span class="none">–</span>')
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    return Markup('<span class="duration">{}</span>').format(escape(format_duration(max(seconds, 0))))


def format_number(value: float) -> str:
    """Return a number with separators."""
    return f"{value:,}"
