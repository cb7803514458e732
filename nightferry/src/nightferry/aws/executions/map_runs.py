"""Items of distributed Maps on Step Functions: each is a child execution with a history of its own.

The history of the parent names only the map run. Its counts come from one call, its items from the list of its child
executions, a thousand a call.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from nightferry.aws.lru_cache import LruCache
from nightferry.aws.session import Aws
from nightferry.backend.states.map_columns import Redact, find_key
from nightferry.backend.states.values import ITEM_STATUSES, ItemStatus, MapItems, MapSummary

MOST_ITEMS = 20_000
"""The number of items that are listed. The counts include all."""

_DESCRIBED = 20  # failed items of which the error and the key are read
_KEPT_RUNS = 20
_COUNTS: Mapping[ItemStatus, tuple[str, ...]] = {
    "failed": ("failed", "timedOut"),
    "stopped": ("aborted",),
    "running": ("running",),
    "pending": ("pending", "pendingRedrive"),
    "succeeded": ("succeeded",),
}
_STATUSES: Mapping[str, ItemStatus] = {
    "RUNNING": "running",
    "PENDING_REDRIVE": "pending",
    "SUCCEEDED": "succeeded",
    "ABORTED": "stopped",
}


class MapRuns:
    """The map runs of distributed Maps."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._ended: LruCache[tuple[MapSummary, MapItems | None]] = LruCache(_KEPT_RUNS)

    def summarize(self, arn: str, path: str, visit: int) -> MapSummary:
        """Return the counts of a map run's items."""
        return self._describe(arn, path, visit)[0]

    def _describe(self, arn: str, path: str, visit: int) -> tuple[MapSummary, Any]:
        with self._aws.translate_errors("describe a map run"):
            run = self._aws.stepfunctions.describe_map_run(mapRunArn=arn)
        counted: Mapping[str, Any] = run["itemCounts"]
        counts = {status: sum(int(counted.get(name, 0)) for name in names) for status, names in _COUNTS.items()}
        return MapSummary(path, visit, counts), run.get("stopDate")

    def list_items(self, arn: str, path: str, visit: int, redact: Redact) -> MapItems:
        """Return a map run's items in the order of their starts. Items that have not started have no entry of AWS."""
        summary, stopped = self._describe(arn, path, visit)
        key = (arn, stopped)
        ended = self._ended.get(key) if stopped is not None else None
        if ended is not None and ended[1] is not None:
            return ended[1]
        children: list[Any] = []
        with self._aws.translate_errors("list the child executions of a map run"):
            for page in self._aws.stepfunctions.get_paginator("list_executions").paginate(
                mapRunArn=arn, PaginationConfig={"PageSize": 1000, "MaxItems": MOST_ITEMS}
            ):
                children += page["executions"]
        children.sort(key=lambda child: (child["startDate"], child["name"]))
        items = self._make_items(summary, children, redact)
        if stopped is not None:
            self._ended.put(key, (summary, items))
        return items

    def _make_items(self, summary: MapSummary, children: list[Any], redact: Redact) -> MapItems:
        statuses = bytearray(ITEM_STATUSES.index(_STATUSES.get(child["status"], "failed")) for child in children)
        keys: list[str | None] = [None] * len(children)
        errors: dict[int, str] = {}
        failed = [index for index, code in enumerate(statuses) if ITEM_STATUSES[code] == "failed"]
        for index in failed[:_DESCRIBED]:
            with self._aws.translate_errors("describe a child execution of a map run"):
                child = self._aws.stepfunctions.describe_execution(executionArn=children[index]["executionArn"])
            keys[index] = find_key(child.get("input"), redact)
            if error := child.get("error"):
                errors[index] = error
        starts = array("d", [child["startDate"].timestamp() for child in children])
        stops = array("d", [child["stopDate"].timestamp() if child.get("stopDate") else 0 for child in children])
        return MapItems(summary.path, summary.visit, summary.counts, bytes(statuses), starts, stops, keys, errors)
