"""One object trigger: the objects that it has seen, and every start that was decided."""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import Response

from nightferry.backend.starts import START_OUTCOMES, NotKnown, StartFilter, make_source
from nightferry.dashboard.listing import describe_list
from nightferry.dashboard.pages.starts.triggers import make_row
from nightferry.dashboard.view import View
from nightferry.errors import UnknownName

_PER_PAGE = 50


def show(view: View) -> Response:
    """Show the trigger of the path. Its objects and its starts are two lists with their own places."""
    name = view.path["name"]
    if name not in view.catalog.object_triggers:
        raise UnknownName("object trigger", name, view.catalog.object_triggers)
    row = make_row(view, view.catalog.object_triggers[name])
    wanted = StartFilter(
        make_source("trigger", name), view.choice("outcome", START_OUTCOMES), view.time("since"), view.time("until")
    )
    starts = view.backend.starts(wanted, before=view.cursor(), limit=_PER_PAGE)
    objects = view.backend.seen_objects(name, before=view.cursor("objects_before"), limit=_PER_PAGE)
    return view.page(
        "trigger.html",
        title=f"Trigger {name}",
        json={
            "trigger": asdict(row.declared),
            **describe_list("starts", starts),
            "seen": describe_list("objects", objects),
        },
        live=view.cursor() is None and view.cursor("objects_before") is None,
        row=row,
        outcomes=START_OUTCOMES,
        starts_found=starts,
        count=view.backend.count_starts(wanted, limit=1000),
        objects=objects,
        objects_known=not isinstance(objects, NotKnown),
    )
