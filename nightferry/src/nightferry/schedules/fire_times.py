"""The fires of a schedule in a range of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from nightferry.schedules.expressions import Expression, iterate_occurrences


def list_fires(
    expression: Expression,
    zone: tzinfo,
    first: datetime,
    last: datetime,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Iterator[datetime]:
    """Yield the fires from ``first`` to ``last``, both included, in order.

    ``start`` and ``end`` are those of :func:`~nightferry.schedules.expressions.iterate_occurrences`.
    """
    for one in iterate_occurrences(expression, first - timedelta.resolution, zone, start=start, end=end):
        if one.instant > last:
            return
        if one.fires:
            yield one.instant
