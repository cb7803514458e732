"""One schedule: its declaration in words, its next fires, and every start that was decided."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from nightferry.backend.request_checks import get_schedule
from nightferry.backend.starts import START_OUTCOMES, StartFilter, make_source
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Schedule
from nightferry.dashboard.listing import describe_list
from nightferry.dashboard.view import View
from nightferry.presentation.schedules.late_fires import find_late_fires
from nightferry.presentation.schedules.schedules import find_upcoming, read_schedules
from nightferry.presentation.schedules.words import describe_period

_PER_PAGE = 50
_NEXT_FIRES = 10

_CATCH_UP = {
    "skip": "are reported and start nothing",
    "once": "start the target once, for the last one",
    "all": "start the target for each of the last 2,000",
}
_OVERLAP = {
    "allow": "runs at the same time",
    "skip": "is skipped",
    "queue": "waits for the end of the first",
    "replace": "stops the first",
}


def show(view: View) -> Response:
    """Show the schedule of the path, with the starts of the filter."""
    now = view.site.clock.now()
    name = get_schedule(view.catalog, view.path["name"]).name
    (schedule,) = read_schedules(view.catalog, view.environment, view.backend, now, [name])
    wanted = StartFilter(
        make_source("schedule", schedule.name),
        view.choice("outcome", START_OUTCOMES),
        view.time("since"),
        view.time("until"),
    )
    starts = view.backend.starts(wanted, before=view.cursor(), limit=_PER_PAGE)
    upcoming = find_upcoming(schedule, now, _NEXT_FIRES) if schedule.enabled and schedule.fires_are_known else []
    return view.page(
        "schedule.html",
        title=f"Schedule {schedule.name}",
        json={
            "schedule": asdict(schedule.declared) | {"expression": schedule.text, "words": schedule.words},
            "enabled": schedule.enabled,
            "upcoming": [one.fire.instant for one in upcoming if one.fire is not None],
            **describe_list("starts", starts),
        },
        live=view.cursor() is None,
        schedule=schedule,
        period=describe_period(schedule.declared.start, schedule.declared.end),
        policies=_describe_policies(view.catalog, schedule.declared, local=view.environment.backend == "local"),
        upcoming=upcoming,
        late=find_late_fires(view.backend, [schedule], now),
        outcomes=START_OUTCOMES,
        starts_found=starts,
        count=view.backend.count_starts(wanted, limit=1000),
    )


def _describe_policies(catalog: Catalog, schedule: Schedule, *, local: bool) -> list[tuple[str, Any]]:
    """Return what the declaration says about missed fires and overlaps, in words."""
    targets: Any = catalog.workflows if schedule.kind == "workflow" else catalog.tasks
    overlap = targets[schedule.target].overlap
    missed = (
        f"{_CATCH_UP[schedule.catch_up]} (catch_up = {schedule.catch_up})"
        if local
        else "AWS repeats a failed start for an hour, and then sends it to the dead-letter queue"
    )
    return [
        ("Missed fires", missed),
        ("A second start", f"{_OVERLAP[overlap]} (overlap = {overlap})"),
        ("Declared in", schedule.declared_in),
    ]
