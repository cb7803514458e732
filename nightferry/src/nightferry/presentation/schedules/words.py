"""Schedule expressions in words, such as "every day at 20:30".

The words describe exactly what the expression matches: ``tests/presentation/test_schedule_words.py`` reads them back,
and compares their times with those of the expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from nightferry.schedules.expressions import (
    YEARS,
    At,
    Cron,
    DaysOfMonth,
    Expression,
    Rate,
    SpecialDay,
    Weekdays,
    parse,
)

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_MOST_TIMES = 6  # times of a day that are listed one by one
_LONG = 4  # values at equal distances that are described by their step
_MINUTES = tuple(range(60))
_HOURS = tuple(range(24))


def describe_schedule(text: str, zone: str) -> str:
    """Return a schedule's expression in words, with its time zone if it depends on one."""
    expression = parse(text)
    words = describe(expression)
    if isinstance(expression, Rate):
        return words
    return f"{words} {zone}" if words[-1].isdigit() else f"{words} in {zone}"


def describe(expression: Expression) -> str:
    """Return an expression in words, without a time zone."""
    match expression:
        case Rate(interval):
            return f"every {_describe_interval(interval)}"
        case At(time):
            return f"once, on {time:%Y-%m-%d} at {time:%H:%M:%S}"
        case Cron():
            return _describe_cron(expression)


def _describe_interval(interval: timedelta) -> str:
    """Return an interval of absolute time. A day has 24 hours even if the clocks change, so it is not "every day"."""
    minutes = interval // timedelta(minutes=1)
    if minutes % 60:
        return "minute" if minutes == 1 else f"{minutes:,} minutes"
    hours = minutes // 60
    return "hour" if hours == 1 else f"{hours:,} hours"


def _describe_cron(cron: Cron) -> str:
    days, years = _describe_days(cron), _describe_years(cron.years)
    times = _list_times(cron)
    if times is not None:
        return f"{days} at {times}{years}"
    often = _describe_frequency(cron)
    return f"{often}{years}" if days == "every day" else f"{often}, {days}{years}"


def _list_times(cron: Cron) -> str | None:
    """Return the times of a day one by one, or None if they are too many."""
    if len(cron.hours) * len(cron.minutes) > _MOST_TIMES:
        return None
    return _join([f"{hour:02}:{minute:02}" for hour in cron.hours for minute in cron.minutes])


def _describe_frequency(cron: Cron) -> str:
    """Return the minutes of an hour, and the hours of a day."""
    minutes, hours = cron.minutes, cron.hours
    period = f"from {hours[0]:02}:{minutes[0]:02} to {hours[-1]:02}:{minutes[-1]:02}"
    if len(minutes) == 1 and len(hours) < 24 and (step := _find_step(hours)) is not None:
        return f"every {step} hours {period}"
    successive = hours == tuple(range(hours[0], hours[-1] + 1))
    parts = 60 // len(minutes)
    if minutes == _MINUTES:
        often = "every minute"
    elif len(minutes) > 1 and minutes == tuple(range(0, 60, parts)):
        often = f"every {parts} minutes"
    elif minutes == (0,) and successive:
        often = "every hour"
    else:
        often = f"at {_describe_numbers('minute', minutes)} of every hour"
    if hours == _HOURS:
        return often
    if successive:
        return f"{often} {period}"
    return f"{often.removesuffix(' of every hour')} of {_describe_numbers('hour', hours)}"


def _describe_days(cron: Cron) -> str:
    every_month = len(cron.months) == 12
    of = "of the month"
    if not every_month:
        months = _join_ranges(cron.months, lambda month: _MONTHS[month - 1])
        of = f"of each month in {months}" if " to " in months else f"of {months}"
    match cron.days:
        case DaysOfMonth(numbers) if numbers != tuple(range(1, 32)):
            return f"on {_describe_numbers('day', numbers)} {of}"
        case Weekdays(numbers) if len(numbers) < 7:
            named = _name_weekdays(numbers)
            each = named if " to " in named else f"every {named}"
            return each if every_month else f"{each} {of}"
        case SpecialDay("last"):
            return f"on the last day {of}"
        case SpecialDay("nearest weekday", day):
            return f"on the Monday-to-Friday day nearest to day {day} {of}"
        case SpecialDay("last weekday", day):
            return f"on the last {_WEEKDAYS[day - 1]} {of}"
        case SpecialDay("nth weekday", day, occurrence):
            return f"on the {_ORDINALS[occurrence - 1]} {_WEEKDAYS[day - 1]} {of}"
    return "every day" if every_month else f"every day {of}"


def _name_weekdays(numbers: Sequence[int]) -> str:
    """Return weekdays by name. The week begins with Monday, except for one range such as Sunday to Thursday."""
    first, last = ([day for day in numbers if (day - 1 + step) % 7 + 1 not in numbers] for step in (-1, 1))
    if len(first) == 1 and len(numbers) > 2:
        return f"{_WEEKDAYS[first[0] - 1]} to {_WEEKDAYS[last[0] - 1]}"
    return _join_ranges(sorted((day - 2) % 7 for day in numbers), lambda day: _WEEKDAYS[(day + 1) % 7])


def _describe_years(years: Sequence[int]) -> str:
    if years == tuple(range(YEARS[0], YEARS[1] + 1)):
        return ""
    return f", in {_join_ranges(years, str)}" if _find_step(years) is None else f", in {_describe_step('year', years)}"


def _describe_numbers(noun: str, numbers: Sequence[int]) -> str:
    if _find_step(numbers) is not None:
        return _describe_step(noun, numbers)
    return f"{noun} {numbers[0]}" if len(numbers) == 1 else f"{noun}s {_join_ranges(numbers, str)}"


def _describe_step(noun: str, numbers: Sequence[int]) -> str:
    step = numbers[1] - numbers[0]
    return f"every {step}{_end_ordinal(step)} {noun} from {numbers[0]} to {numbers[-1]}"


def _end_ordinal(number: int) -> str:
    return "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _find_step(numbers: Sequence[int]) -> int | None:
    """Return the distance above 1 between many numbers at equal distances, or None."""
    distances = {later - earlier for earlier, later in pairwise(numbers)}
    return distances.pop() if len(numbers) >= _LONG and len(distances) == 1 and distances != {1} else None


def _join_ranges(numbers: Sequence[int], name: Callable[[int], str]) -> str:
    """Return sorted numbers by name: three or more successive ones as a range."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    texts: list[str] = []
    for one in ranges:
        texts += [f"{name(one[0])} to {name(one[-1])}"] if len(one) > 2 else [name(number) for number in one]
    return _join(texts)


def _join(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def describe_period(start: datetime | None, end: datetime | None) -> str:
    """Return the period in which a schedule fires, or an empty text if it has no limits."""
    parts = [
        f"{word} {time:%Y-%m-%d %H:%M} UTC" for word, time in (("from", start), ("until", end)) if time is not None
    ]
    return " ".join(parts)
