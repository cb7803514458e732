"""The progress of a group of starts, and the form that stops it."""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import Response

from nightferry.audit.recording import Recorder
from nightferry.dashboard.actions.rights import NotPermitted, get_rights
from nightferry.dashboard.batches.batch import Batch
from nightferry.dashboard.view import View
from nightferry.errors import UnknownName

_MOST_ROWS = 1000


def show(view: View) -> Response:
    """Show what the batch of the path has started so far."""
    batch = _find(view)
    return view.page(
        "batch.html",
        title=batch.order.title,
        live=batch.is_running,
        json={
            "id": batch.id,
            "running": batch.is_running,
            "result": batch.describe(),
            "problem": batch.problem,
            "starts": [asdict(row) for row in batch.rows],
        },
        batch=batch,
        rows=batch.rows[:_MOST_ROWS],
        left=max(0, len(batch.rows) - _MOST_ROWS),
    )


def stop(view: View) -> Response:
    """Let the batch start nothing more."""
    batch = _find(view)
    if "operate" not in get_rights(actions=view.site.actions):
        raise NotPermitted("This dashboard is read-only, so it does not stop a group of starts.")
    order = batch.order
    recorder = Recorder(view.backend, view.author, "dashboard", view.catalog.privacy, view.site.clock)
    with recorder.record("stop", order.target, f"Stop of the group of starts: {order.title}") as outcome:
        batch.stopping.set()
        outcome.text = batch.describe()
    return view.redirect(view.link(f"/batches/{batch.id}"))


def _find(view: View) -> Batch:
    batch = view.site.batches.get(view.path["id"])
    if batch is None:
        raise UnknownName(
            "group of starts", view.path["id"], [],
            "A group ends with the server that works on it. What it has started continues, and the same form leaves it "
            "out.",
        )  # fmt: skip
    return batch
