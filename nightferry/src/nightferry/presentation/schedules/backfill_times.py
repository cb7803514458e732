"""The times of a schedule in a range that a person enters: dates in the schedule's zone, or times."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from nightferry.catalog.declarations import Schedule
from nightferry.catalog.references import substitute
from nightferry.clock import get_clock
from nightferry.contract import format_scheduled_time
from nightferry.environments.environment import Environment
from nightferry.errors import NightferryError
from nightferry.presentation.times import parse_time
from nightferry.schedules.expressions import At, Rate, parse
from nightferry.schedules.fire_times import list_fires

CONFIRMED_TIMES = 100  # more need a confirmation
MOST_TIMES = 10_000
_RECENT = timedelta(minutes=2)  # in which the schedule itself may be starting its target
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class InvalidRange(NightferryError):
    """The range of a backfill has no times, too many, or is not in the past. The message has the reason."""


class NoTimes(InvalidRange):
    """The schedule has no time in the range. The message has the command that shows the next ones."""


@dataclass(frozen=True)
class Bound:
    """One end of a range: the text that a person entered, and the name of its option or field for messages."""

    name: str
    text: str


def find_times(
    schedule: Schedule,
    environment: Environment,
    begin: Bound,
    end: Bound,
    first_seen: Callable[[], datetime | None],
    most: int = MOST_TIMES,
) -> list[datetime]:
    """Return the times of a schedule in a range, both ends included. Raises InvalidRange.

    ``first_seen`` returns the origin of a rate without a start, if it is known.
    """
    zone = ZoneInfo(schedule.timezone)
    now = get_clock().now()
    first, last = parse_bound(begin, zone, now), parse_bound(end, zone, now, whole_day=True)
    if last < first:
        raise InvalidRange(f"{end.name} {end.text} is before {begin.name} {begin.text}. Swap them.")
    if last > now:
        raise InvalidRange(f"{end.name} {end.text} is in the future. A backfill starts only times that have passed.")
    text = substitute(schedule.expression, lambda reference: environment.settings[reference.name])
    expression = parse(text)
    start = schedule.start
    if start is None and not isinstance(expression, At):
        seen = first_seen()
        if isinstance(expression, Rate):
            start = seen
            if seen is None:
                raise InvalidRange(
                    f"Schedule '{schedule.name}' ({schedule.declared_in}) is {text} without a start, so the times "
                    "before its deployment are not known. Add start=… to its declaration, or use cron(…)."
                )
    last = min(last, now - _RECENT)
    found = list(islice(list_fires(expression, zone, first, last, start=start, end=schedule.end), most + 1))
    if not found:
        raise NoTimes(
            f"Schedule '{schedule.name}' ({text}, {schedule.timezone}) has no time from {begin.text} to {end.text}. "
            f"See: nightferry next {schedule.name} --at {format_scheduled_time(first)}"
        )
    if len(found) > most:
        raise InvalidRange(f"The range has more than {most:,} times. Use a shorter one.")
    return found


def parse_bound(bound: Bound, zone: ZoneInfo, now: datetime, *, whole_day: bool = False) -> datetime:
    """Return the time of an end of a range. A date is a day in the schedule's zone; today ends now."""
    if not _DATE.fullmatch(bound.text.strip()):
        return parse_time(bound.name, bound.text, also="a date such as 2026-11-24")
    try:
        day = date.fromisoformat(bound.text.strip())
        begin = datetime.combine(day, time(), zone).astimezone(UTC)
        if not whole_day:
            return begin
        end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC) - timedelta.resolution
    except (ValueError, OverflowError):
        raise InvalidRange(f"{bound.name} {bound.text} is not a date.") from None
    return min(end, now) if begin <= now else end
