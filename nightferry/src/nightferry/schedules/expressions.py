"""Schedule expressions: ``cron(…)``, ``rate(…)`` and ``at(…)`` with EventBridge's rules.

Source: EventBridge Scheduler user guide, "Schedule types" and "Time zones and daylight saving"; EventBridge user
guide, "Creating a rule that runs on a schedule". An expression that those pages do not describe is rejected, because
an error at declaration is better than a schedule that never fires.

Next fires are computed from calendar sets instead of testing every minute.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import takewhile
from typing import Literal

LENGTH_LIMIT = 256
YEARS = (1970, 2199)
_BEFORE_ALL = datetime(1969, 12, 30, tzinfo=UTC)
_TICK = timedelta.resolution
_SECOND = timedelta(seconds=1)
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


class InvalidExpression(ValueError):
    """EventBridge would reject the expression; the message names the invalid part and the problem."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A time that an expression matches: ``local_time`` in its time zone, and ``instant`` in UTC.

    ``change`` is the effect of a clock change: "skipped" if clocks skip ``local_time`` in spring, so that it does not
    fire (``instant`` is then the time of the change), or "repeated" if ``local_time`` occurs twice in the fall, so that
    it fires at the first. Instants never decrease from one occurrence to the next.
    """

    local_time: datetime
    instant: datetime
    change: Literal["", "skipped", "repeated"] = ""

    @property
    def fires(self) -> bool:
        """False if a clock change skips this time."""
        return self.change != "skipped"


@dataclass(frozen=True)
class Rate:
    """Every ``interval`` since ``start`` in absolute time: a day always has 24 hours, even if the clocks change."""

    interval: timedelta

    def iterate_occurrences(self, after: datetime, zone: tzinfo, start: datetime | None) -> Iterator[Occurrence]:
        """Yield the fires later than ``after`` in order, counted from ``start`` or, if it is None, from ``after``."""
        origin = after if start is None else start.astimezone(UTC)
        number = 0 if after < origin else (after - origin) // self.interval + 1
        try:
            while True:
                fire = origin + self.interval * number
                yield Occurrence(fire.astimezone(zone).replace(tzinfo=None, fold=0), fire)
                number += 1
        except OverflowError:  # beyond the year 9999
            return


@dataclass(frozen=True)
class At:
    """Once, at a local time in the schedule's zone."""

    time: datetime

    def iterate_occurrences(self, after: datetime, zone: tzinfo) -> Iterator[Occurrence]:
        """Yield the occurrence if it is later than ``after``."""
        return _iterate_later((self.time,), after, zone)


@dataclass(frozen=True)
class DaysOfMonth:
    """Days by number: ``1,15-20``."""

    numbers: tuple[int, ...]

    def list_days(self, year: int, month: int) -> list[int]:
        """Return the matching days of a month, in order."""
        length = calendar.monthrange(year, month)[1]
        return [day for day in self.numbers if day <= length]


@dataclass(frozen=True)
class Weekdays:
    """Days by weekday, 1 = Sunday: ``MON-FRI``."""

    numbers: tuple[int, ...]

    def list_days(self, year: int, month: int) -> list[int]:
        """Return the matching days of a month, in order."""
        first_weekday, length = calendar.monthrange(year, month)
        return [day for day in range(1, length + 1) if (first_weekday + day) % 7 + 1 in self.numbers]


@dataclass(frozen=True)
class SpecialDay:
    """A day of the month that depends on the calendar: ``L``, ``15W``, ``6L`` or ``3#2``.

    ``day`` is a day of the month for W, and a weekday (1 = Sunday) for ``6L`` and ``#``.
    """

    kind: str
    day: int = 0
    occurrence: int = 0

    def list_days(self, year: int, month: int) -> list[int]:
        """Return the matching day of a month as a list with one item or none."""
        first_weekday, length = calendar.monthrange(year, month)
        if self.kind == "last":
            return [length]
        if self.kind == "nearest weekday":
            return [_find_nearest_weekday(self.day, first_weekday, length)] if self.day <= length else []
        first = 1 + (self.day + 5 - first_weekday) % 7  # the first day of the month that is this weekday
        if self.kind == "last weekday":
            return [first + (length - first) // 7 * 7]
        day = first + (self.occurrence - 1) * 7
        return [day] if day <= length else []


@dataclass(frozen=True)
class Cron:
    """Calendar times: sorted values for each field."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: DaysOfMonth | Weekdays | SpecialDay
    months: tuple[int, ...]
    years: tuple[int, ...]

    def iterate_occurrences(self, after: datetime, zone: tzinfo) -> Iterator[Occurrence]:
        """Yield the occurrences later than ``after``, in order."""
        after = max(after, _BEFORE_ALL)  # times at the start of Python's calendar cannot be converted to every zone
        return _iterate_later(
            self._iterate_local_times(after.astimezone(zone).replace(tzinfo=None, fold=0)), after, zone
        )

    def _iterate_local_times(self, start: datetime) -> Iterator[datetime]:
        """Yield matching local times from ``start``'s minute on, in order."""
        for year in _select_from(self.years, start.year):
            this_year = year == start.year
            for month in _select_from(self.months, start.month if this_year else 1):
                this_month = this_year and month == start.month
                for day in _select_from(self.days.list_days(year, month), start.day if this_month else 1):
                    today = this_month and day == start.day
                    for hour in _select_from(self.hours, start.hour if today else 0):
                        for minute in _select_from(self.minutes, start.minute if today and hour == start.hour else 0):
                            yield datetime(year, month, day, hour, minute)


Expression = Cron | Rate | At


def iterate_occurrences(
    expression: Expression,
    after: datetime,
    zone: tzinfo = UTC,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Iterator[Occurrence]:
    """Return the times later than ``after`` that ``expression`` matches in ``zone``, in order, with skipped ones.

    ``start`` and ``end`` are the first and the last instant at which it may fire; ``at(…)`` ignores them, as
    EventBridge Scheduler does. A rate is counted from ``start``, so pass the schedule's creation time if it declares no
    start; without ``start``, it is counted from ``after``. All instants are aware datetimes. A rate continues to the
    end of the calendar.
    """
    match expression:
        case At():
            return expression.iterate_occurrences(after, zone)
        case Rate():
            found = expression.iterate_occurrences(after.astimezone(UTC), zone, start)
        case Cron():
            found = expression.iterate_occurrences(after if start is None else max(after, start - _TICK), zone)
    return found if end is None else takewhile(lambda one: one.instant <= end, found)


def find_next_fire(
    expression: Expression,
    after: datetime,
    zone: tzinfo = UTC,
    start: datetime | None = None,
    end: datetime | None = None,
) -> datetime | None:
    """Return the first fire of ``expression`` later than ``after``, in UTC, or None if it never fires again.

    For ``start`` and ``end`` see :func:`iterate_occurrences`.
    """
    found = iterate_occurrences(expression, after, zone, start=start, end=end)
    return next((one.instant for one in found if one.fires), None)


def parse(text: str) -> Expression:
    """Parse a schedule expression. Raises :class:`InvalidExpression`."""
    match = re.fullmatch(r"(cron|rate|at)\((.*)\)", text, re.DOTALL)
    if len(text) > LENGTH_LIMIT:
        raise InvalidExpression(
            f"The expression has {len(text)} characters; EventBridge accepts at most {LENGTH_LIMIT}."
        )
    if not (text.isascii() and text.isprintable()):
        raise InvalidExpression(f"{text!r}: EventBridge accepts only printable ASCII characters.")
    if match is None:
        raise InvalidExpression(f"{text!r} is not a schedule expression. Use cron(…), rate(…) or at(…).")
    match match[1]:
        case "cron":
            return _parse_cron(match[2], text)
        case "rate":
            return _parse_rate(match[2], text)
        case _:
            return _parse_at(match[2], text)


def _parse_rate(body: str, text: str) -> Rate:
    match = re.fullmatch(r"\s*(\d+)\s+(minute|hour|day)(s?)\s*", body, re.ASCII)
    if match is None or int(match[1]) == 0:
        raise InvalidExpression(f"{text}: use a positive whole number and a unit, as in rate(5 minutes).")
    value, unit = int(match[1]), match[2]
    if (value == 1) == bool(match[3]):
        correct = f"rate({value} {unit}{'' if value == 1 else 's'})"
        raise InvalidExpression(f"{text}: EventBridge requires the singular for 1 and the plural otherwise: {correct}.")
    try:
        return Rate(value * _UNITS[unit])
    except OverflowError:
        raise InvalidExpression(f"{text}: the interval is too long.") from None


def _parse_at(body: str, text: str) -> At:
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", body, re.ASCII):
        try:
            return At(datetime.fromisoformat(body))
        except ValueError as error:
            raise InvalidExpression(f"{text}: {error}.") from None
    raise InvalidExpression(f"{text}: use at(yyyy-mm-ddThh:mm:ss), without an offset.")


def _parse_cron(body: str, text: str) -> Cron:
    fields = body.split()
    if len(fields) != 6:
        raise InvalidExpression(
            f"{text} has {len(fields)} fields instead of six: minutes hours day-of-month month day-of-week year."
        )
    minutes, hours, day, month, weekday, year = (field.upper() for field in fields)
    if (day == "?") == (weekday == "?"):
        raise InvalidExpression(f"{text}: exactly one of day-of-month and day-of-week must be '?'.")
    return Cron(
        minutes=_parse_field("minutes", minutes, 0, 59, text),
        hours=_parse_field("hours", hours, 0, 23, text),
        days=_parse_day_of_week(weekday, text) if day == "?" else _parse_day_of_month(day, text),
        months=_parse_field("month", month, 1, 12, text, _MONTHS),
        years=_parse_field("year", year, *YEARS, text),
    )


def _parse_day_of_month(field: str, text: str) -> DaysOfMonth | SpecialDay:
    if field == "L":
        return SpecialDay("last")
    if match := re.fullmatch(r"(\d{1,2})W", field, re.ASCII):
        return SpecialDay("nearest weekday", _parse_number("day-of-month", match[1], 1, 31, text, {}))
    return DaysOfMonth(_parse_field("day-of-month", field, 1, 31, text))


def _parse_day_of_week(field: str, text: str) -> Weekdays | SpecialDay:
    if field == "L":
        return Weekdays((7,))  # the last day of the week: every Saturday
    if match := re.fullmatch(r"(\w+)L", field, re.ASCII):
        return SpecialDay("last weekday", _parse_number("day-of-week", match[1], 1, 7, text, _DAYS))
    if match := re.fullmatch(r"(\w+)#(\d+)", field, re.ASCII):
        occurrence = int(match[2])
        if not 1 <= occurrence <= 5:
            raise InvalidExpression(
                f"{text}: day-of-week '{field}': weekday number {occurrence} does not exist; use 1 to 5."
            )
        return SpecialDay("nth weekday", _parse_number("day-of-week", match[1], 1, 7, text, _DAYS), occurrence)
    if "#" in field:
        raise InvalidExpression(f"{text}: day-of-week '{field}': use one DAY#NUMBER and nothing else, as in 3#2.")
    return Weekdays(_parse_field("day-of-week", field, 1, 7, text, _DAYS))


def _parse_field(
    name: str, field: str, low: int, high: int, text: str, names: dict[str, int] | None = None
) -> tuple[int, ...]:
    """Return the sorted values of a list of ``*``, numbers, ranges and steps."""
    chosen: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        step = 1
        if slash:
            if not re.fullmatch(r"\d{1,4}", step_text, re.ASCII) or not 1 <= int(step_text) <= high:
                raise InvalidExpression(f"{text}: {name} '{part}': the step must be a number from 1 to {high}.")
            step = int(step_text)
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = low, high
        elif dash:
            start, end = (_parse_number(name, value, low, high, text, names or {}) for value in (first, last))
        else:
            start = _parse_number(name, span, low, high, text, names or {})
            end = high if slash else start
        if start <= end:
            chosen.update(range(start, end + 1, step))
        elif name == "year":
            raise InvalidExpression(f"{text}: {name} '{part}': the first year is later than the last.")
        else:  # a range such as 20-2 in hours wraps around
            size = high - low + 1
            chosen.update((value - low) % size + low for value in range(start, end + size + 1, step))
    return tuple(sorted(chosen))


def _parse_number(name: str, value: str, low: int, high: int, text: str, names: dict[str, int]) -> int:
    if value in names:
        return names[value]
    if re.fullmatch(r"\d{1,4}", value, re.ASCII) and low <= int(value) <= high:
        return int(value)
    names_hint = f" or {'-'.join((next(iter(names)), list(names)[-1]))}" if names else ""
    raise InvalidExpression(f"{text}: {name} '{value}' is not a number from {low} to {high}{names_hint}.")


def _select_from(values: Sequence[int], first: int) -> Sequence[int]:
    """Return the values of a sorted sequence that are not less than ``first``."""
    return values[bisect_left(values, first) :]


def _find_nearest_weekday(day: int, first_weekday: int, length: int) -> int:
    """Return the Monday-to-Friday day nearest to ``day`` in the same month."""
    weekday = (first_weekday + day - 1) % 7  # 0 = Monday
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day


def _iterate_later(local_times: Iterable[datetime], after: datetime, zone: tzinfo) -> Iterator[Occurrence]:
    """Yield the occurrences of local times that are later than ``after``."""
    changed, resumed = after, datetime.min  # the last change in spring, and the first local time after it
    for local_time in local_times:
        if local_time < resumed:
            yield Occurrence(local_time, changed, "skipped")
            continue
        try:
            first = local_time.replace(tzinfo=zone).astimezone(UTC)
            second = local_time.replace(tzinfo=zone, fold=1).astimezone(UTC)
            exists = first.astimezone(zone).replace(tzinfo=None, fold=0) == local_time
        except OverflowError:  # the first or last day of the calendar
            continue
        if not exists:
            changed = _find_change(second, first, zone)
            resumed = changed.astimezone(zone).replace(tzinfo=None)
            if changed > after:
                yield Occurrence(local_time, changed, "skipped")
        elif first > after:
            yield Occurrence(local_time, first, "" if first == second else "repeated")


def _find_change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the instant between two others at which the zone's offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
