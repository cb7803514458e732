"""A second implementation of EventBridge's cron expressions that is slow and simple.

It shares no code with the evaluator: it steps through the values of each field, tests each day, and searches minute by
minute.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["", "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
MINUTE = timedelta(minutes=1)


def parse_number(text: str, names: list[str]) -> int:
    return names.index(text.upper()) if text.upper() in names else int(text)


def parse_field(field: str, low: int, high: int, names: list[str]) -> set[int]:
    """Return the values of a list of numbers, names, ranges and steps by stepping through each item."""
    found = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        current = low if span == "*" else parse_number(first, names)
        end = high if span == "*" or (step and not last) else parse_number(last or first, names)
        values = [current]
        while current != end:
            current = low if current == high else current + 1
            values.append(current)
        found |= set(values[:: int(step or 1)])
    return found


class SlowCron:
    """A cron expression with its six fields."""

    def __init__(self, minutes: str, hours: str, day: str, month: str, weekday: str, year: str) -> None:
        self.minutes = parse_field(minutes, 0, 59, [])
        self.hours = parse_field(hours, 0, 23, [])
        self.months = parse_field(month, 1, 12, MONTHS)
        self.years = parse_field(year, 1970, 2199, [])
        self.day, self.weekday = day.upper(), weekday.upper()
        self.plain_days = set[int]()
        if self.day != "?" and self.day[-1] not in "LW":
            self.plain_days = parse_field(day, 1, 31, [])
        if self.weekday != "?" and self.weekday[-1] != "L" and "#" not in weekday:
            self.plain_days = parse_field(weekday, 1, 7, DAYS)

    def matches_day(self, when: date) -> bool:
        """Return True if the day, month and year fields match this day."""
        if when.year not in self.years or when.month not in self.months:
            return False
        length = calendar.monthrange(when.year, when.month)[1]
        weekday = when.isoweekday() % 7 + 1
        if self.day != "?":
            if self.day == "L":
                return when.day == length
            if self.day.endswith("W"):
                target = int(self.day[:-1])
                working = [d for d in range(1, length + 1) if date(when.year, when.month, d).isoweekday() < 6]
                return target <= length and when.day == min(working, key=lambda d: (abs(d - target), d))
            return when.day in self.plain_days
        if self.weekday == "L":
            return weekday == 7
        if self.weekday.endswith("L"):
            return weekday == parse_number(self.weekday[:-1], DAYS) and when.day + 7 > length
        if "#" in self.weekday:
            wanted, _, nth = self.weekday.partition("#")
            return weekday == parse_number(wanted, DAYS) and (when.day - 1) // 7 + 1 == int(nth)
        return weekday in self.plain_days

    def matches(self, wall: datetime) -> bool:
        """Return True if the expression matches a local time."""
        return (
            wall.second == 0
            and wall.minute in self.minutes
            and wall.hour in self.hours
            and self.matches_day(wall.date())
        )


def iterate_minutes(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime, bool]]:
    """Yield each minute's instant, its local time, and True if that local time occurs for the first time."""
    instant, seen = since - timedelta(hours=4), set[datetime]()
    offset = instant.astimezone(zone).second  # aligns to whole local minutes, because some old offsets have seconds
    instant -= timedelta(seconds=offset)
    while instant < until:
        wall = instant.astimezone(zone).replace(tzinfo=None, fold=0)
        if instant > since:
            yield instant, wall, wall not in seen
        seen.add(wall)
        instant += MINUTE


def find_first_instant(zone: ZoneInfo, wall: datetime) -> datetime | None:
    """Return the first instant with a local time, or None, by trying every offset of the surrounding days."""
    near = wall.replace(tzinfo=UTC)
    offsets = {(near + timedelta(hours=h)).astimezone(zone).utcoffset() for h in range(-30, 31)}
    candidates = [near - offset for offset in offsets if offset is not None]
    return min((one for one in candidates if one.astimezone(zone).replace(tzinfo=None, fold=0) == wall), default=None)


def find_next_slowly(cron: SlowCron, after: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the next fire by testing each day, then each matching minute of a matching day."""
    day = max(after.astimezone(zone).date() - timedelta(days=1), date(1970, 1, 1))
    while day.year < 2200:
        if cron.matches_day(day):
            for hour in sorted(cron.hours):
                for minute in sorted(cron.minutes):
                    fire = find_first_instant(zone, datetime(day.year, day.month, day.day, hour, minute))
                    if fire is not None and fire > after:
                        return fire
        day += timedelta(days=1)
    return None


def find_changes(zone: ZoneInfo, years: range) -> Iterator[datetime]:
    """Yield the instants at which the zone's offset changes, to the minute."""
    day = timedelta(days=1)
    instant = datetime(years.start, 1, 1, tzinfo=UTC)
    while instant.year < years.stop:
        if instant.astimezone(zone).utcoffset() != (instant + day).astimezone(zone).utcoffset():
            low, high = instant, instant + day
            while high - low > MINUTE:
                middle = low + (high - low) // 2
                same = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            yield high.replace(second=0, microsecond=0)
        instant += day
