"""For how long a schedule may be without a success before an alarm reports it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from nightferry.catalog.declarations import Schedule
from nightferry.schedules.expressions import Rate, next_fire, parse
from nightferry.terraform.names import Names

HOUR = 3600
# CloudWatch evaluates a week at most, and only in periods of an hour or longer (API reference, PutMetricAlarm).
LONGEST_EVALUATION = timedelta(days=7)
GRACE = timedelta(hours=1)


def silence(names: Names, schedule: Schedule) -> timedelta | None:
    """Return how long a schedule may have no success; None if no alarm covers it (it fires once, or too rarely)."""
    gap = longest_gap(names.in_terraform(schedule.expression), schedule.timezone)
    if gap is None:
        return None
    if schedule.kind == "task":
        limit = names.catalog.tasks[schedule.target].time_limit
    else:
        definition = names.catalog.workflows[schedule.target].definition
        limit = timedelta(seconds=definition.get("TimeoutSeconds", 8 * HOUR))
    window = gap + limit + GRACE
    return window if window <= LONGEST_EVALUATION else None


@lru_cache(maxsize=256)
def longest_gap(text: str, timezone: str) -> timedelta | None:
    """The longest time between two fires within a year of a fixed day; None if it fires once or never."""
    parsed, zone = parse(text), ZoneInfo(timezone)
    if isinstance(parsed, Rate):
        return parsed.interval
    start = datetime(2026, 1, 1, tzinfo=UTC)  # fixed, so that two runs are byte-identical
    end = start + timedelta(days=366)
    previous = next_fire(parsed, start, zone, start)
    longest: timedelta | None = None
    while previous is not None and previous < end:
        following = next_fire(parsed, previous, zone, start)
        if following is not None:
            longest = max(longest or following - previous, following - previous)
        previous = following
    return longest
