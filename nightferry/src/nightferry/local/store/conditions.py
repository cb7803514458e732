"""The condition of a query of a list, which is ordered by time and ID, newest first.

It has only what the filter gives, because SQLite chooses the index from it. ``tests/local/store`` checks the plan of
every combination: none reads a whole table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Protocol

from nightferry.backend.queries import Cursor
from nightferry.local.store.times import format_time

END_OF_TIME = datetime.max.replace(tzinfo=UTC)

Value = str | int


class Period(Protocol):
    """The period of a filter. None means no limit."""

    @property
    def since(self) -> datetime | None:
        """The beginning, inclusive."""

    @property
    def until(self) -> datetime | None:
        """The end, exclusive."""


def build_condition(
    equal: Mapping[str, str | None],
    place: tuple[str, str],
    period: Period,
    before: Cursor | None,
    get_id: Callable[[Cursor], Value] = attrgetter("id"),
) -> tuple[str, list[Value]]:
    """Return a condition with its values. It always has a range of time, because each index ends with the time.

    ``equal`` are the wanted values of columns, None for any. ``place`` are the columns of the time and the ID, which
    order the list, and ``before`` is the place after which a page begins.
    """
    time, id = place
    conditions = [f"{column} = ?" for column, value in equal.items() if value is not None]
    values: list[Value] = [value for value in equal.values() if value is not None]
    if before is not None and (period.until is None or before.time < period.until):
        conditions.append(f"({time}, {id}) < (?, ?)")
        values += [format_time(before.time), get_id(before)]
    else:
        conditions.append(f"{time} < ?")
        values.append(format_time(period.until or END_OF_TIME))
    if period.since is not None:
        conditions.append(f"{time} >= ?")
        values.append(format_time(period.since))
    return " AND ".join(conditions), values
