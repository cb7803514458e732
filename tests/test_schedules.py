"""Schedule expressions against a slow, obvious reference: minute after minute through the calendar."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.schedules import InvalidExpression, next_fire, parse

NEW_YORK = ZoneInfo("America/New_York")
ZONES = [ZoneInfo(name) for name in ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(expression: str, after: str, count: int, zone: ZoneInfo = NEW_YORK) -> list[str]:
    """The next fires as the zone's clocks show them."""
    parsed, now, result = parse(expression), at(after), []
    for _ in range(count):
        fire = next_fire(parsed, now, zone)
        if fire is None:
            break
        result.append(fire.astimezone(zone).strftime("%Y-%m-%d %H:%M"))
        now = fire
    return result


def test_a_time_that_spring_skips_does_not_fire_that_day() -> None:
    assert fires("cron(30 2 * * ? *)", "2026-03-07 00:00", 3) == [
        "2026-03-07 02:30",
        "2026-03-09 02:30",
        "2026-03-10 02:30",
    ]


def test_a_time_that_occurs_twice_in_autumn_fires_once_at_the_first() -> None:
    fire = next_fire(parse("cron(30 1 * * ? *)"), at("2026-10-31 12:00"), NEW_YORK)
    assert fire == at("2026-11-01 05:30")
    assert next_fire(parse("cron(30 1 * * ? *)"), fire, NEW_YORK) == at("2026-11-02 06:30")


def test_a_rate_counts_hours_not_days_of_the_calendar() -> None:
    start = at("2026-10-31 13:00")
    fire = next_fire(parse("rate(1 day)"), at("2026-11-01 13:00"), NEW_YORK, start)
    assert fire == at("2026-11-02 13:00")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(30 20 * * ? *)", ["2026-11-24 20:30", "2026-11-25 20:30"]),
        ("cron(0/30 20-2 ? * MON-FRI *)", ["2026-11-24 20:00", "2026-11-24 20:30"]),
        ("cron(0 9 L * ? *)", ["2026-11-30 09:00", "2026-12-31 09:00"]),
        ("cron(0 9 1W 4-5 ? 2027)", ["2027-04-01 09:00", "2027-05-03 09:00"]),
        ("cron(0 9 31W * ? 2027)", ["2027-01-29 09:00", "2027-03-31 09:00", "2027-05-31 09:00"]),
        ("cron(0 9 ? * 6L *)", ["2026-11-27 09:00", "2026-12-25 09:00"]),
        ("cron(0 9 ? * FRI#5 *)", ["2027-01-29 09:00", "2027-04-30 09:00"]),
        ("cron(0 9 ? * L *)", ["2026-11-28 09:00", "2026-12-05 09:00"]),
        ("cron(1/29 4 1 1 ? 2027)", ["2027-01-01 04:01", "2027-01-01 04:30", "2027-01-01 04:59"]),
        ("cron(0 0 29 2 ? 2096)", ["2096-02-29 00:00"]),
        ("cron(0 0 31 2 ? *)", []),
        ("at(2026-12-01T10:00:00)", ["2026-12-01 10:00"]),
        ("at(2026-01-01T10:00:00)", []),
    ],
)  # fmt: skip
def test_next_fires(expression: str, expected: list[str]) -> None:
    assert fires(expression, "2026-11-24 12:00", max(len(expected), 1)) == expected


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("0 9 * * ? *", "Write cron"),
        ("cron(0 9 * * ?)", "5 fields"),
        ("cron(0 9 * * * *)", "exactly one"),
        ("cron(0 9 ? * ? *)", "exactly one"),
        ("cron(60 9 * * ? *)", "minutes '60'"),
        ("cron(0 9 L-3 * ? *)", "day-of-month"),
        ("cron(0 9 LW * ? *)", "day-of-month"),
        ("cron(0 9 1W,2W * ? *)", "day-of-month"),
        ("cron(0 9 ? * 3#1,6#3 *)", "day-of-week"),
        ("cron(0 9 ? * MON#6 *)", "weekday number 6"),
        ("cron(0 9 * * ? 2030-2026)", "later than"),
        ("cron(0 9 * * ? 2200)", "1970 to 2199"),
        ("cron(0/0 9 * * ? *)", "step"),
        ("cron(٣ 9 * * ? *)", "minutes"),
        ("rate(1 minutes)", "rate(1 minute)"),
        ("rate(5 minute)", "rate(5 minutes)"),
        ("rate(0 minutes)", "positive"),
        ("rate(99999999999999 days)", "too long"),
        ("at(2026-02-30T10:00:00)", "day"),
        ("at(2026-02-03T10:00:00Z)", "offset"),
        ("cron(" + "0," * 130 + "0 9 * * ? *)", "256"),
    ],
)
def test_what_eventbridge_refuses_is_refused_with_the_reason(expression: str, word: str) -> None:
    with pytest.raises(InvalidExpression, match="(?s).*" + word.replace("(", r"\(").replace(")", r"\)")):
        parse(expression)


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high).map(str)
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: f"{pair[0]}-{pair[1]}")
    stepped = st.tuples(st.one_of(st.just("*"), one, span), st.integers(1, high)).map(lambda p: f"{p[0]}/{p[1]}")
    return st.one_of(st.just("*"), st.lists(st.one_of(one, span, stepped), min_size=1, max_size=3).map(",".join))


days = st.one_of(
    st.tuples(st.one_of(numbers(1, 31), st.just("L"), st.integers(1, 31).map("{}W".format)), st.just("?")),
    st.tuples(
        st.just("?"),
        st.one_of(
            numbers(1, 7),
            st.integers(1, 7).map("{}L".format),
            st.tuples(st.integers(1, 7), st.integers(1, 5)).map(lambda p: f"{p[0]}#{p[1]}"),
        ),
    ),
)


def matches(part: str, value: int, low: int, high: int) -> bool:
    """Whether one field of a cron expression names ``value``: the slow reading."""
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        value_set = []
        start = low if span == "*" else int(first)
        end = high if span == "*" or (step and not last) else int(last or first)
        current = start
        while True:
            value_set.append(current)
            if current == end:
                break
            current = low if current == high else current + 1
        if value in value_set[:: int(step or 1)]:
            return True
    return False


def day_matches(day_of_month: str, day_of_week: str, when: datetime) -> bool:
    length = calendar.monthrange(when.year, when.month)[1]
    weekday = when.isoweekday() % 7 + 1
    if day_of_month != "?":
        if day_of_month == "L":
            return when.day == length
        if day_of_month.endswith("W"):
            target = int(day_of_month[:-1])
            if target > length:
                return False
            weekdays = [d for d in range(1, length + 1) if datetime(when.year, when.month, d).isoweekday() < 6]
            return when.day == min(weekdays, key=lambda d: (abs(d - target), d))
        return matches(day_of_month, when.day, 1, 31)
    if day_of_week.endswith("L"):
        return weekday == int(day_of_week[:-1]) and when.day + 7 > length
    if "#" in day_of_week:
        wanted, nth = map(int, day_of_week.split("#"))
        return weekday == wanted and (when.day - 1) // 7 + 1 == nth
    return matches(day_of_week, weekday, 1, 7)


@settings(max_examples=100, deadline=None)
@given(
    numbers(0, 59), numbers(0, 23), days, numbers(1, 12), st.sampled_from(ZONES),
    st.integers(0, 60 * 24 * 365 * 229), st.booleans(),
)  # fmt: skip
def test_the_evaluator_agrees_with_trying_every_minute(
    minutes: str, hours: str, day: tuple[str, str], months: str, zone: ZoneInfo, offset: int, near_change: bool
) -> None:
    after = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=offset, seconds=17)
    if near_change:  # the days around the changes of the clocks
        after = after.replace(month=3 if offset % 2 else 11, day=offset % 14 + 1)
    expression = parse(f"cron({minutes} {hours} {day[0]} {months} {day[1]} *)")
    fire = next_fire(expression, after, zone)
    horizon = after + timedelta(days=2)
    seen: set[datetime] = set()
    expected = None
    instant = after.replace(second=0) - timedelta(hours=3)
    while instant < horizon:
        wall = instant.astimezone(zone).replace(tzinfo=None)
        first_time = wall not in seen
        seen.add(wall)
        if (
            first_time
            and wall.year >= 1970
            and instant > after
            and matches(minutes, wall.minute, 0, 59)
            and matches(hours, wall.hour, 0, 23)
            and matches(months, wall.month, 1, 12)
            and day_matches(day[0], day[1], wall)
        ):
            expected = instant
            break
        instant += timedelta(minutes=1)
    if expected is None:
        assert fire is None or fire >= horizon
    else:
        assert fire == expected
