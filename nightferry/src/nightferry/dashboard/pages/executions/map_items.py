"""The items of a Map: counts, a cell for each item, the failed ones first, and the states of one item."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from nightferry.backend.errors import Refused
from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.states.values import ITEM_STATUSES, ItemStatus, MapItem, MapItems
from nightferry.dashboard.pages.executions.execution import describe_counts, read_execution
from nightferry.dashboard.pages.executions.timeline import judge_state
from nightferry.dashboard.svg.items import COLUMNS, count_per_cell, draw_counts, draw_histogram, draw_strip
from nightferry.dashboard.view import BadRequest, View
from nightferry.presentation.durations import find_percentile

_PER_PAGE = 100
_PLACE = re.compile(r"([0-9])-([0-9]{1,9})")

STATUS_NAMES: dict[ItemStatus, str] = {
    "failed": "failed",
    "stopped": "stopped",
    "running": "open",
    "pending": "queued",
    "succeeded": "succeeded",
}
"""The status of an item as a key of the rendering's statuses."""

Place = tuple[int, int]
"""The place of an item in the list: the position of its status in ITEM_STATUSES, and its index."""


def show(view: View) -> Response:
    """Show the items of one pass through a Map."""
    execution, visit, path = read_execution(view), view.number("visit", 1, 1_000_000), view.path["path"]
    items = view.backend.map_items(execution.id, path, visit)
    status, text = view.choice("status", ITEM_STATUSES), view.search()
    found = _find(items, status, text)
    matching = sorted(found)
    after = _read_place(view)
    rest = [place for place in matching if after is None or place > after]
    shown = [items[index] for _, index in rest[:_PER_PAGE]]
    following = rest[_PER_PAGE - 1] if len(rest) > _PER_PAGE else None
    chosen = _read_item(view, items)
    failed, succeeded = _list_lengths(items, "failed"), _list_lengths(items, "succeeded")
    now = view.site.clock.now()
    counts = describe_counts(items)
    return view.page(
        "map_items.html",
        title=f"Items of {path}",
        json={
            "counts": dict(items.counts),
            "items": [asdict(item) for item in shown],
            "next": None if following is None else _format_place(following),
        },
        live=execution.stopped_at is None and after is None and chosen is None,
        execution=execution,
        path=path,
        visit=visit,
        items=items,
        statuses=[
            (one, STATUS_NAMES[one], items.counts.get(one, 0), items.statuses.count(code))
            for code, one in enumerate(ITEM_STATUSES)
        ],
        counts_bar=draw_counts(items.counts, counts),
        strip=draw_strip(items.statuses, f"Each item in order, {COLUMNS} in a row; {counts}") if len(items) else None,
        columns=COLUMNS,
        per_cell=count_per_cell(len(items)),
        histogram=draw_histogram(succeeded, failed, "How long the items took") if succeeded or failed else None,
        median=find_percentile(succeeded, 50),
        slow=find_percentile(succeeded, 95),
        most_at_once=_find_most_at_once(items),
        limit=_find_limit(view, execution, path),
        shown=[(item, STATUS_NAMES[item.status]) for item in shown],
        matching_count=len(matching),
        next=None if following is None else _format_place(following),
        status_filter=status,
        chosen=chosen,
        chosen_status=None if chosen is None else STATUS_NAMES[chosen.status],
        chosen_states=[] if chosen is None else _list_states(view, execution, path, chosen, items),
        now=now,
    )


def _find(items: MapItems, status: ItemStatus | None, text: str) -> Iterator[Place]:
    """Yield the places of the items with a status, and with a text in their key, error or number."""
    wanted = text.lower()
    for index, code in enumerate(items.statuses):
        if status is not None and ITEM_STATUSES[code] != status:
            continue
        if wanted and not (
            wanted in (items.keys[index] or "").lower()
            or wanted in items.errors.get(index, "").lower()
            or wanted == str(index)
        ):
            continue
        yield code, index


def _read_place(view: View) -> Place | None:
    text = view.text("before")
    if not text:
        return None
    if (match := _PLACE.fullmatch(text)) is None:
        raise BadRequest("'before' is not a place in this list. Follow the links of the list.")
    return int(match[1]), int(match[2])


def _format_place(place: Place) -> str:
    return f"{place[0]}-{place[1]}"


def _read_item(view: View, items: MapItems) -> MapItem | None:
    text = view.text("item")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) >= len(items):
        raise BadRequest(f"'item' must be a number from 0 to {max(len(items) - 1, 0):,}.")
    return items[int(text)]


def _list_lengths(items: MapItems, status: ItemStatus) -> list[float]:
    code = ITEM_STATUSES.index(status)
    return [
        max(stop - start, 0.0)
        for found, start, stop in zip(items.statuses, items.starts, items.stops, strict=True)
        if found == code and start and stop
    ]


def _find_most_at_once(items: MapItems) -> int:
    """Return the largest number of items that ran at the same time."""
    changes = [(start, 1) for start in items.starts if start]
    changes += [(stop, -1) for start, stop in zip(items.starts, items.stops, strict=True) if start and stop]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def _find_limit(view: View, execution: WorkflowExecution, path: str) -> str:
    """Return the Map's MaxConcurrency as text, or an empty text if it has none or the definition cannot be read."""
    try:
        found = _find_state(view.backend.definition(execution.id), path.rpartition(" / ")[2])
    except Refused:
        return ""
    limit = (found or {}).get("MaxConcurrency") or (found or {}).get("MaxConcurrencyPath")
    return f"{limit:,}" if isinstance(limit, int) else str(limit or "")


def _find_state(program: Any, name: str) -> dict[str, Any] | None:
    for key, state in program.get("States", {}).items():
        if key == name:
            return dict(state)
        for inner in (*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")):
            if inner and (found := _find_state(inner, name)) is not None:
                return found
    return None


def _list_states(
    view: View, execution: WorkflowExecution, path: str, item: MapItem, items: MapItems
) -> list[tuple[Any, str]]:
    """Return the states that an item passed through in this visit of the Map, with their statuses."""
    prefix, ended = f"{path}[{item.index}] / ", execution.stopped_at is not None
    found = [one for one in view.backend.state_history(execution.id) if one.path.startswith(prefix)]
    start, stop = items.starts[item.index], items.stops[item.index]
    within = [
        one for one in found if one.entered_at.timestamp() >= start and (not stop or one.entered_at.timestamp() <= stop)
    ]
    return [(state, judge_state(state, ended=ended)) for state in (within or found)]
