"""Test that the words of a schedule describe exactly the times of its expression.

``read`` understands the words without the code that writes them; what it understands is compared with the fires.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.presentation.schedules.words import describe, describe_period, describe_schedule
from nightferry.schedules.expressions import Cron, find_next_fire, parse
from nightferry.schedules.fire_times import list_fires
from nightferry.testing.tiers import examples

MONTHS = [name for name in calendar.month_name if name]
WEEKDAYS = list(calendar.day_name)  # Monday is 0
DAY = timedelta(days=1)

# ── a reader of the words ─────────────────────────────────────────────────────────────────────────────────────────


def split(text: str) -> list[str]:
    return re.split(r", | and ", text)


def read_set(text: str, names: list[str] | None = None, first: int = 0) -> set[int]:
    """Return the numbers of "1, 3 to 5 and 9", of names, or of "every 2nd minute from 0 to 58"."""

    def number(word: str) -> int:
        return int(word) if names is None else names.index(word) + first

    if match := re.fullmatch(r"every (\d+)(?:st|nd|rd|th) (?:\w+) from (\d+) to (\d+)", text):
        return set(range(int(match[2]), int(match[3]) + 1, int(match[1])))
    found: set[int] = set()
    for part in split(text):
        begin, _, end = part.partition(" to ")
        last = number(end or begin)
        if last < number(begin):  # Sunday to Thursday
            assert names is WEEKDAYS
            last += 7
        found |= {one % 7 if names is WEEKDAYS else one for one in range(number(begin), last + 1)}
    return found


def read_numbers(noun: str, text: str) -> set[int]:
    return read_set(re.sub(rf"^{noun}s? ", "", text))


def read_clock(text: str) -> time:
    return time.fromisoformat(text)


def read_times(text: str) -> set[time]:
    """Return the times of a day."""
    if match := re.fullmatch(r"at (\d\d:\d\d.*)", text):
        return {read_clock(one) for one in split(match[1])}
    if match := re.fullmatch(r"every (\d+) hours from (\S+) to (\S+)", text):
        begin, end = read_clock(match[2]), read_clock(match[3])
        return {time(hour, begin.minute) for hour in range(begin.hour, end.hour + 1, int(match[1]))}
    begin, end, hours = time.min, time.max, set(range(24))
    if match := re.fullmatch(r"(.*) from (\d\d:\d\d) to (\d\d:\d\d)", text):
        text, begin, end = match[1], read_clock(match[2]), read_clock(match[3])
    elif match := re.fullmatch(r"(.*) of ((?:every \d+.. )?hours? .*)", text):
        text, hours = match[1], read_numbers("hour", match[2])
    text = text.removesuffix(" of every hour")
    if text == "every minute":
        minutes = set(range(60))
    elif text == "every hour":
        minutes = {0}
    elif match := re.fullmatch(r"every (\d+) minutes", text):
        minutes = set(range(0, 60, int(match[1])))
    else:
        assert text.startswith("at "), text
        minutes = read_numbers("minute", text.removeprefix("at "))
    found = {time(hour, minute) for hour in hours for minute in minutes}
    return {one for one in found if begin <= one <= end}


def read_days(text: str) -> Callable[[date], bool]:
    """Return a function that returns True for the days that the words include."""
    days, months = text, set(range(1, 13))
    if match := re.fullmatch(r"(.*) of (?:the month|each month in (.*)|(.*?))", text):
        days, named = match[1], match[2] or match[3]
        months = read_set(named, MONTHS, 1) if named else months
    if days == "every day":
        return lambda day: day.month in months
    if match := re.fullmatch(r"on (days? .*|every \d+.. day .*)", days):
        numbers = read_numbers("day", match[1])
        return lambda day: day.month in months and day.day in numbers
    if days == "on the last day":
        return lambda day: day.month in months and (day + DAY).month != day.month
    if match := re.fullmatch(r"on the last (\w+)", days):
        weekday = WEEKDAYS.index(match[1])
        return lambda day: day.month in months and day.weekday() == weekday and (day + 7 * DAY).month != day.month
    if match := re.fullmatch(r"on the (first|second|third|fourth|fifth) (\w+)", days):
        number, weekday = ["first", "second", "third", "fourth", "fifth"].index(match[1]), WEEKDAYS.index(match[2])
        return lambda day: day.month in months and day.weekday() == weekday and (day.day - 1) // 7 == number
    if match := re.fullmatch(r"on the Monday-to-Friday day nearest to day (\d+)", days):
        wanted = int(match[1])
        return lambda day: day.month in months and day == find_nearest(day, wanted)
    weekdays = read_set(days.removeprefix("every "), WEEKDAYS)
    return lambda day: day.month in months and day.weekday() in weekdays


def find_nearest(day: date, wanted: int) -> date | None:
    length = calendar.monthrange(day.year, day.month)[1]
    if wanted > length:
        return None
    month = [day.replace(day=number) for number in range(1, length + 1)]
    return min((one for one in month if one.weekday() < 5), key=lambda one: (abs(one.day - wanted), one.day > wanted))


def read(text: str) -> tuple[set[time], Callable[[date], bool]]:
    """Return the times of a day, and a function that returns True for the days."""
    years = set(range(1970, 2200))
    if match := re.fullmatch(r"(.*), in ((?:every \d+.. year from )?\d{4}.*)", text):
        text, years = match[1], read_set(match[2])
    if match := re.fullmatch(r"(.*?) (at \d\d:\d\d.*)", text):
        days, times = match[1], match[2]
    else:
        match = re.fullmatch(r"(.*?)(?:, ((?:on|every|[A-Z]).*))?", text)
        assert match is not None
        times, days = match[1], match[2] or "every day"
    includes = read_days(days)
    return read_times(times), lambda day: day.year in years and includes(day)


# ── expressions ───────────────────────────────────────────────────────────────────────────────────────────────────


def fields(low: int, high: int, names: list[str] | None = None) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str) if names is None else st.sampled_from(names)
    span = st.one_of(
        number,
        st.tuples(number, number).map("-".join),
        st.tuples(st.just("*") | number, st.integers(1, min(high, 30)).map(str)).map("/".join),
    )
    return st.just("*") | number | st.lists(span, min_size=1, max_size=3).map(",".join)


SHORT_DAYS, SHORT_MONTHS = [name[:3].upper() for name in WEEKDAYS], [name[:3].upper() for name in MONTHS]
DAYS = st.one_of(
    st.tuples(
        st.just("L") | st.integers(1, 31).map("{}W".format) | st.sampled_from(["1-30", "2-31"]) | fields(1, 31),
        st.just("?"),
    ),
    st.tuples(
        st.just("?"),
        st.one_of(
            st.sampled_from(["L", "MON-FRI", "SUN,SAT", "FRI-MON", "MON-SAT", "SUN-SAT"]),
            st.integers(1, 7).map("{}L".format),
            st.tuples(st.integers(1, 7), st.integers(1, 5)).map(lambda one: f"{one[0]}#{one[1]}"),
            fields(1, 7),
            fields(1, 7, SHORT_DAYS),
        ),
    ),
)
YEARS = st.sampled_from(["*", "2026", "2026-2029", "2026/2", "2026,2027", "1970/3", "2026,2028-2030", "*/2"])


@st.composite
def crons(draw: st.DrawFn) -> str:
    day, weekday = draw(DAYS)
    months = draw(fields(1, 12) | fields(1, 12, SHORT_MONTHS) | st.sampled_from(["2-12", "JAN-NOV"]))
    minutes = draw(fields(0, 59) | st.sampled_from(["0", "30", "0/15", "*/20", "0,30", "*/7", "1-59", "0-58"]))
    hours = draw(fields(0, 23) | st.sampled_from(["8-17", "0/2", "20-2", "*", "1-23", "0-22", "3-1"]))
    return f"cron({minutes} {hours} {day} {months} {weekday} {draw(YEARS)})"


def check(text: str, first: date, days: int = 70) -> None:
    """Compare what the words of an expression describe with its fires, day by day from ``first`` on."""
    cron = parse(text)
    assert isinstance(cron, Cron)
    words = describe(cron)
    times, includes = read(words)
    checked_times = False
    for day in (first + n * DAY for n in range(days)):
        midnight = datetime.combine(day, time.min, UTC)
        fire = find_next_fire(cron, midnight - timedelta.resolution)
        fires = fire is not None and fire < midnight + DAY
        assert fires == (includes(day) and bool(times)), (text, words, day)
        if fires and not checked_times:
            checked_times = True
            found = {one.time() for one in list_fires(cron, UTC, midnight, midnight + DAY - timedelta.resolution)}
            assert found == times, (text, words)


@given(crons(), st.integers(0, 800))
@settings(max_examples=examples(80), deadline=None)
def test_the_words_of_a_cron_expression_describe_its_fires(text: str, offset: int) -> None:
    check(text, date(2026, 1, 1) + offset * DAY)


@pytest.mark.parametrize("days", ["? * SUN-FRI *", "? * MON-SAT *", "1-30 * ? *", "* 2-12 ? *", "? * SUN-SAT *"])
@pytest.mark.parametrize("times", ["1-59 *", "* 1-23", "0-58 0-22", "* *", "0/30 2-0"])
def test_the_words_of_nearly_complete_sets_have_their_gaps(times: str, days: str) -> None:
    check(f"cron({times} {days})", date(2026, 12, 25), 14)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cron(30 20 * * ? *)", "every day at 20:30"),
        ("cron(30 12,16 * * ? *)", "every day at 12:30 and 16:30"),
        ("cron(0 3 ? * WED *)", "every Wednesday at 03:00"),
        ("cron(0 8 ? * MON-FRI *)", "Monday to Friday at 08:00"),
        ("cron(0 22 ? * SUN-THU *)", "Sunday to Thursday at 22:00"),
        ("cron(0 22 ? * FRI-MON *)", "Friday to Monday at 22:00"),
        ("cron(0 22 ? * MON,WED-FRI,SUN *)", "Monday, Wednesday to Friday and Sunday at 22:00"),
        ("cron(0 8 ? * SAT,SUN *)", "every Saturday and Sunday at 08:00"),
        ("cron(0/15 * * * ? *)", "every 15 minutes"),
        ("cron(0/15 8-17 ? * MON-FRI *)", "every 15 minutes from 08:00 to 17:45, Monday to Friday"),
        ("cron(* * * * ? *)", "every minute"),
        ("cron(0 * * * ? *)", "every hour"),
        ("cron(0,30 * * * ? *)", "every 30 minutes"),
        ("cron(5/30 * * * ? *)", "at minutes 5 and 35 of every hour"),
        ("cron(0 0/2 * * ? *)", "every 2 hours from 00:00 to 22:00"),
        ("cron(0/30 20-2 ? * MON-FRI *)", "every 30 minutes of hours 0 to 2 and 20 to 23, Monday to Friday"),
        ("cron(0 6 1 * ? *)", "on day 1 of the month at 06:00"),
        ("cron(0 6 1 1,7 ? *)", "on day 1 of January and July at 06:00"),
        ("cron(0 6 L 1-3 ? *)", "on the last day of each month in January to March at 06:00"),
        ("cron(0 6 15W * ? *)", "on the Monday-to-Friday day nearest to day 15 of the month at 06:00"),
        ("cron(0 6 ? * 6L *)", "on the last Friday of the month at 06:00"),
        ("cron(0 6 ? * 3#2 *)", "on the second Tuesday of the month at 06:00"),
        ("cron(0 6 * 2 ? 2027)", "every day of February at 06:00, in 2027"),
        ("cron(0 6 1/2 * ? *)", "on every 2nd day from 1 to 31 of the month at 06:00"),
        ("cron(0 6 L * ? 2026/2)", "on the last day of the month at 06:00, in every 2nd year from 2026 to 2198"),
        ("rate(1 minute)", "every minute"),
        ("rate(5 minutes)", "every 5 minutes"),
        ("rate(90 minutes)", "every 90 minutes"),
        ("rate(1 hour)", "every hour"),
        ("rate(1 day)", "every 24 hours"),
        ("rate(7 days)", "every 168 hours"),
        ("at(2026-12-01T20:30:05)", "once, on 2026-12-01 at 20:30:05"),
    ],
)  # fmt: skip
def test_usual_expressions_are_described_as_people_say_them(text: str, words: str) -> None:
    assert describe(parse(text)) == words
    if text.startswith("cron"):
        read(words)


@given(st.integers(1, 5000), st.sampled_from(["minute", "hour", "day"]))
@settings(max_examples=examples(50), deadline=None)
def test_the_words_of_a_rate_describe_its_fires(number: int, unit: str) -> None:
    expression = parse(f"rate({number} {unit}{'s' if number > 1 else ''})")
    match = re.fullmatch(r"every (?:([\d,]+) )?(minute|hour)s?", describe(expression))
    assert match is not None
    said = int((match[1] or "1").replace(",", "")) * timedelta(**{f"{match[2]}s": 1})
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    first, second = find_next_fire(expression, begin, UTC, begin), begin + said
    assert first == second


def test_a_time_zone_is_said_where_it_matters() -> None:
    assert describe_schedule("cron(30 20 * * ? *)", "America/New_York") == "every day at 20:30 America/New_York"
    hourly = describe_schedule("cron(5 * * * ? *)", "America/New_York")
    assert hourly == "at minute 5 of every hour in America/New_York"
    assert describe_schedule("rate(5 minutes)", "America/New_York") == "every 5 minutes"
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    assert describe_period(begin, begin + DAY) == "from 2026-11-01 00:00 UTC until 2026-11-02 00:00 UTC"
    assert describe_period(None, None) == ""
