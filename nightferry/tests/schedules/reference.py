"""The rules of EventBridge's cron expressions once more, as slowly and as obviously as possible.

Nothing here is shared with the evaluator: a field is read by walking round its values, a day is asked whether it is
meant, a time is looked for minute after minute.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["", "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
MINUTE = timedelta(minutes=1)


def number(text: str, names: list[str]) -> int:
    return names.index(text.upper()) if text.upper() in names else int(text)


def named(field: str, low: int, high: int, names: list[str]) -> set[int]:
    """The values that a list of numbers, names, ranges and steps names: each item is walked along."""
    found = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        current = low if span == "*" else number(first, names)
        end = high if span == "*" or (step and not last) else number(last or first, names)
        walk = [current]
        while current != end:
            current = low if current == high else current + 1
            walk.append(current)
        found |= set(walk[:: int(step or 1)])
    return found


class SlowCron:
    """A cron expression, by its six fields."""

    def __init__(self, minutes: str, hours: str, day: str, month: str, weekday: str, year: str) -> None:
        self.minutes = named(minutes, 0, 59, [])
        self.hours = named(hours, 0, 23, [])
        self.months = named(month, 1, 12, MONTHS)
        self.years = named(year, 1970, 2199, [])
        self.day, self.weekday = day.upper(), weekday.upper()
        self.plain_days = set[int]()
        if self.day != "?" and self.day[-1] not in "LW":
            self.plain_days = named(day, 1, 31, [])
        if self.weekday != "?" and self.weekday[-1] != "L" and "#" not in weekday:
            self.plain_days = named(weekday, 1, 7, DAYS)

    def means_day(self, when: date) -> bool:
        """Whether the three fields of the calendar mean this day."""
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
            return weekday == number(self.weekday[:-1], DAYS) and when.day + 7 > length
        if "#" in self.weekday:
            wanted, _, nth = self.weekday.partition("#")
            return weekday == number(wanted, DAYS) and (when.day - 1) // 7 + 1 == int(nth)
        return weekday in self.plain_days

    def means(self, wall: datetime) -> bool:
        """Whether it means what the clocks show."""
        return (
            wall.second == 0 and wall.minute in self.minutes and wall.hour in self.hours and self.means_day(wall.date())
        )


def shown(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime, bool]]:
    """Minute after minute: the instant, what the clocks show, and whether they show it for the first time."""
    instant, seen = since - timedelta(hours=4), set[datetime]()
    offset = instant.astimezone(zone).second  # whole minutes of clocks whose offset once had seconds
    instant -= timedelta(seconds=offset)
    while instant < until:
        wall = instant.astimezone(zone).replace(tzinfo=None, fold=0)
        if instant > since:
            yield instant, wall, wall not in seen
        seen.add(wall)
        instant += MINUTE


def first_instant(zone: ZoneInfo, wall: datetime) -> datetime | None:
    """The first instant at which the clocks show a time: every offset of the days around it is tried."""
    near = wall.replace(tzinfo=UTC)
    offsets = {(near + timedelta(hours=h)).astimezone(zone).utcoffset() for h in range(-30, 31)}
    tried = [near - offset for offset in offsets if offset is not None]
    return min((one for one in tried if one.astimezone(zone).replace(tzinfo=None, fold=0) == wall), default=None)


def slow_next(cron: SlowCron, after: datetime, zone: ZoneInfo) -> datetime | None:
    """The next fire: day after day through the calendar, then every minute of a day that is meant."""
    day = max(after.astimezone(zone).date() - timedelta(days=1), date(1970, 1, 1))
    while day.year < 2200:
        if cron.means_day(day):
            for hour in sorted(cron.hours):
                for minute in sorted(cron.minutes):
                    fire = first_instant(zone, datetime(day.year, day.month, day.day, hour, minute))
                    if fire is not None and fire > after:
                        return fire
        day += timedelta(days=1)
    return None


def changes(zone: ZoneInfo, years: range) -> Iterator[datetime]:
    """The instants at which the zone's clocks are changed, to the minute."""
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
