"""The time after which a schedule without a success is overdue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from nightferry.catalog.declarations import Schedule
from nightferry.schedules.expressions import Rate, find_next_fire, parse
from nightferry.terraform.names import Names

HOUR_SECONDS = 3600
# CloudWatch evaluates at most one week, and then only in periods of at least an hour (API reference, PutMetricAlarm).
MAX_EVALUATION = timedelta(days=7)
GRACE = timedelta(hours=1)
DAY_HOURS = 24
# CloudWatch counts a success in an hour of the clock, which ends up to an hour later. An hour without a success has no
# data, so it reads more periods than it evaluates: two more in the example of its guide, "Configuring how CloudWatch
# alarms treat missing data".
LATE_HOURS = 1 + 2
LATE_HOURS_BEYOND_A_DAY = 1  # it evaluates an alarm whose periods add up to more than a day once an hour


def compute_overdue_window(names: Names, schedule: Schedule) -> timedelta | None:
    """Return the longest regular time between two successes; None if it is too long for an alarm or never recurs."""
    gap = find_longest_gap(names.resolve(schedule.expression), schedule.timezone)
    if gap is None:
        return None
    if schedule.kind == "task":
        limit = names.catalog.tasks[schedule.target].time_limit
    else:
        definition = names.catalog.workflows[schedule.target].definition
        limit = timedelta(seconds=definition.get("TimeoutSeconds", 8 * HOUR_SECONDS))
    window = gap + limit + GRACE
    return window if window <= MAX_EVALUATION else None


def compute_latest_notice(hours: int) -> int:
    """Return the hours after the last success within which CloudWatch reports an alarm that evaluates ``hours``."""
    return hours + LATE_HOURS + (LATE_HOURS_BEYOND_A_DAY if hours > DAY_HOURS else 0)


@lru_cache(maxsize=256)
def find_longest_gap(text: str, timezone: str) -> timedelta | None:
    """Return the longest time between two fires in the year after a fixed day; None if it fires once or never."""
    parsed, zone = parse(text), ZoneInfo(timezone)
    if isinstance(parsed, Rate):
        return parsed.interval
    start = datetime(2026, 1, 1, tzinfo=UTC)  # fixed, so that the output does not depend on the date
    end = start + timedelta(days=366)
    previous = find_next_fire(parsed, start, zone, start)
    longest: timedelta | None = None
    while previous is not None and previous < end:
        following = find_next_fire(parsed, previous, zone, start)
        if following is not None:
            longest = max(longest or following - previous, following - previous)
        previous = following
    return longest
