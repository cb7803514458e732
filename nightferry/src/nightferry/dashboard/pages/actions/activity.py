"""The record of what people did, with a filter."""

from __future__ import annotations

import re

from starlette.responses import Response

from nightferry.backend.actions import ACTION_NAMES, ActionFilter
from nightferry.dashboard.listing import describe_list
from nightferry.dashboard.view import View

_PER_PAGE = 50


def show(view: View) -> Response:
    """Show the actions of the filter, newest first."""
    wanted = ActionFilter(
        author=view.search("author") or None,
        action=view.choice("action", ACTION_NAMES),
        id=view.search("id") or None,
        since=view.time("since"),
        until=view.time("until"),
    )
    knows_all = view.backend.knows_all_actions
    page = view.backend.actions(wanted, before=view.cursor(), limit=_PER_PAGE)
    return view.page(
        "activity.html",
        title="Activity",
        json=describe_list("actions", page),
        live=view.cursor() is None and knows_all,  # on AWS, each refresh would read its lists
        actions=[(action, _find_link(view, action.target)) for action in page],
        find_link=lambda id: _find_link(view, id),
        next=page.next,
        names=ACTION_NAMES,
        knows_all=knows_all,
        topics=sorted(view.catalog.topics),
    )


def _find_link(view: View, target: str) -> str:
    """Return the page of the target of an action; empty if it has none."""
    for path, declared in (
        ("tasks", view.catalog.tasks),
        ("workflows", view.catalog.workflows),
        ("schedules", view.catalog.schedules),
    ):
        if target in declared:
            return view.link(f"/{path}/{target}")
    if re.fullmatch(r"[0-9a-f]{32}", target):
        return view.link(f"/runs/{target}")
    if any(target.startswith(f"{workflow}-") for workflow in view.catalog.workflows):
        return view.link(f"/executions/{target}")
    return ""
