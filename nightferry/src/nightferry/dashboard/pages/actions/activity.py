"""The record of what people did, with a filter."""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import Response

from nightferry.backend.actions import ACTION_NAMES, Action, ActionFilter
from nightferry.dashboard.view import View

_PER_PAGE = 50


def show(view: View) -> Response:
    """Show the actions of the filter, newest first."""
    wanted = ActionFilter(
        author=view.text("author") or None,
        action=view.choice("action", ACTION_NAMES),
        id=view.text("id") or None,
        since=view.time("since"),
        until=view.time("until"),
    )
    page = view.backend.actions(wanted, before=view.cursor(), limit=_PER_PAGE)
    return view.page(
        "activity.html",
        title="Activity",
        json={"actions": [asdict(action) for action in page], "next": str(page.next) if page.next else None},
        live=view.cursor() is None,
        actions=[(action, _find_link(view, action)) for action in page],
        next=page.next,
        names=ACTION_NAMES,
        knows_all="everyone's actions" in view.backend.capabilities,
        topics=sorted(view.catalog.topics),
    )


def _find_link(view: View, action: Action) -> str:
    """Return the page of the target; empty if it has none."""
    target = action.target
    if target in view.catalog.tasks:
        return view.link(f"/tasks/{target}")
    if target in view.catalog.workflows:
        return view.link(f"/workflows/{target}")
    if action.action in ("stop", "redrive", "redrive-run", "run-again"):
        return view.link("/search", q=target)
    return ""
