"""Schedule expressions: their fires, and the errors of invalid ones."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from nightferry.schedules.expressions import InvalidExpression, find_next_fire, iterate_occurrences, parse

NEW_YORK = ZoneInfo("America/New_York")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(expression: str, after: str, count: int, zone: ZoneInfo = NEW_YORK) -> list[str]:
    """Return the next fires in the zone's local time."""
    parsed, now, result = parse(expression), at(after), []
    for _ in range(count):
        fire = find_next_fire(parsed, now, zone)
        if fire is None:
            break
        result.append(fire.astimezone(zone).strftime("%Y-%m-%d %H:%M"))
        now = fire
    return result


def test_a_time_skipped_in_spring_does_not_fire_that_day() -> None:
    assert fires("cron(30 2 * * ? *)", "2026-03-07 00:00", 3) == [
        "2026-03-07 02:30",
        "2026-03-09 02:30",
        "2026-03-10 02:30",
    ]


def test_a_time_repeated_in_the_fall_fires_only_at_the_first() -> None:
    fire = find_next_fire(parse("cron(30 1 * * ? *)"), at("2026-10-31 12:00"), NEW_YORK)
    assert fire == at("2026-11-01 05:30")
    assert find_next_fire(parse("cron(30 1 * * ? *)"), fire, NEW_YORK) == at("2026-11-02 06:30")


def test_a_rate_counts_hours_instead_of_calendar_days() -> None:
    start = at("2026-10-31 13:00")
    fire = find_next_fire(parse("rate(1 day)"), at("2026-11-01 13:00"), NEW_YORK, start)
    assert fire == at("2026-11-02 13:00")


def test_a_rate_begins_at_its_start_and_is_never_aligned_to_the_clock() -> None:
    rate, start = parse("rate(7 minutes)"), at("2026-11-24 10:01:23")
    assert find_next_fire(rate, at("2026-11-01 00:00"), start=start) == start
    assert find_next_fire(rate, start, start=start) == at("2026-11-24 10:08:23")
    assert find_next_fire(rate, start) == at("2026-11-24 10:08:23")
    assert find_next_fire(parse("rate(99999999 days)"), start) is None


def test_start_and_end_are_included() -> None:
    daily = parse("cron(0 12 * * ? *)")
    start, end = at("2026-11-24 12:00"), at("2026-11-26 12:00")
    found = [one.instant for one in iterate_occurrences(daily, at("2020-01-01"), start=start, end=end)]
    assert found == [start, at("2026-11-25 12:00"), end]
    assert find_next_fire(daily, end, start=start, end=end) is None
    hours = [
        one.instant.hour for one in iterate_occurrences(parse("rate(20 hours)"), at("2020-01-01"), start=start, end=end)
    ]
    assert hours == [12, 8, 4]


def test_at_ignores_start_and_end() -> None:
    once = parse("at(2026-12-01T10:00:00)")
    assert find_next_fire(once, at("2026-01-01"), start=at("2027-01-01"), end=at("2026-01-02")) == at(
        "2026-12-01 10:00"
    )


@pytest.mark.parametrize(
    ("zone", "expression", "after", "expected"),
    [
        # Forward: the time is skipped. Back: it fires at the first of two, and is marked as repeated.
        ("America/New_York", "cron(30 2 * * ? *)", "2026-03-07 12:00", ["03-08 02:30 skipped", "03-09 02:30 "]),
        ("America/New_York", "cron(30 1 * * ? *)", "2026-10-31 12:00", ["11-01 01:30 repeated", "11-02 01:30 "]),
        ("Europe/London", "cron(0 1 * * ? *)", "2026-03-28 12:00", ["03-29 01:00 skipped", "03-30 01:00 "]),
        ("Europe/London", "cron(59 1 * * ? *)", "2026-10-24 12:00", ["10-25 01:59 repeated", "10-26 01:59 "]),
        ("Europe/London", "cron(0 2 * * ? *)", "2026-10-24 12:00", ["10-25 02:00 ", "10-26 02:00 "]),
        ("Australia/Sydney", "cron(0 2 * * ? *)", "2026-10-03 00:00", ["10-04 02:00 skipped", "10-05 02:00 "]),
        ("Australia/Sydney", "cron(0 3 * * ? *)", "2026-10-03 00:00", ["10-04 03:00 ", "10-05 03:00 "]),
        ("Australia/Lord_Howe", "cron(15 2 * * ? *)", "2026-10-03 00:00", ["10-04 02:15 skipped", "10-05 02:15 "]),
        ("Australia/Lord_Howe", "cron(30 2 * * ? *)", "2026-10-03 00:00", ["10-04 02:30 ", "10-05 02:30 "]),
        ("Australia/Lord_Howe", "cron(45 1 * * ? *)", "2026-04-04 00:00", ["04-05 01:45 repeated", "04-06 01:45 "]),
        ("Asia/Kolkata", "cron(30 2 * * ? *)", "2026-03-07 12:00", ["03-08 02:30 ", "03-09 02:30 "]),
        ("Asia/Kathmandu", "cron(10 0 * * ? *)", "1985-12-30 12:00", ["12-31 00:10 ", "01-01 00:10 skipped"]),
        ("Pacific/Apia", "cron(0 12 * * ? *)", "2011-12-29 12:00", ["12-29 12:00 ", "12-30 12:00 skipped"]),
        ("Africa/Casablanca", "cron(30 2 ? * * *)", "2026-02-14 00:00", ["02-14 02:30 ", "02-15 02:30 repeated"]),
        ("Africa/Casablanca", "cron(30 2 ? * * *)", "2026-03-21 12:00", ["03-22 02:30 skipped", "03-23 02:30 "]),
        ("America/Santiago", "cron(0 0 * * ? *)", "2026-09-05 12:00", ["09-06 00:00 skipped", "09-07 00:00 "]),
    ],
)  # fmt: skip
def test_clock_changes(zone: str, expression: str, after: str, expected: list[str]) -> None:
    found = islice(iterate_occurrences(parse(expression), at(after), ZoneInfo(zone)), len(expected))
    assert [f"{one.local_time:%m-%d %H:%M} {one.change}" for one in found] == expected


def test_times_at_the_limits_of_the_calendar() -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        first = find_next_fire(parse("cron(0 0 1 1 ? *)"), datetime.min.replace(tzinfo=UTC), ZoneInfo(zone))
        assert first == datetime(1970, 1, 1, tzinfo=ZoneInfo(zone))
        assert find_next_fire(parse("cron(* * * * ? *)"), at("9999-12-31 23:59"), UTC) is None
        assert find_next_fire(parse("at(9999-12-31T23:59:59)"), at("2026-01-01"), ZoneInfo("Pacific/Niue")) is None


def test_at_a_skipped_time_never_fires() -> None:
    assert fires("at(2026-03-08T02:30:00)", "2026-01-01 00:00", 1) == []


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
        ("cron(0 0 ? 2 SUN#5 *)", ["2032-02-29 00:00", "2060-02-29 00:00", "2088-02-29 00:00", "2128-02-29 00:00"]),
        ("cron(0 0 ? 2 SUN#5 2089-2127)", []),
        ("cron(59 23 31 12 ? 2199)", ["2199-12-31 23:59"]),
        ("cron(0 0 1 1 ? 1970-2026)", []),
        ("cron(0 12 ? nov-Feb mon-TUE 2026)", ["2026-11-24 12:00", "2026-11-30 12:00", "2026-12-01 12:00"]),
        ("cron(0 12 ? * FRI-MON/2 *)", ["2026-11-27 12:00", "2026-11-29 12:00", "2026-12-04 12:00"]),
        ("cron(50-10/10 0 1 1 ? 2027)", ["2027-01-01 00:00", "2027-01-01 00:10", "2027-01-01 00:50"]),
        ("cron(0 9 29W * ? *)", ["2026-11-30 09:00", "2026-12-29 09:00", "2027-01-29 09:00"]),
        ("cron(0 0 1 1 ? 2026/4)", ["2030-01-01 00:00", "2034-01-01 00:00"]),
        ("cron(0 9 ? * friL *)", ["2026-11-27 09:00", "2026-12-25 09:00"]),
        ("cron( 0  9 1,15-16 * ?  * )", ["2026-12-01 09:00", "2026-12-15 09:00", "2026-12-16 09:00"]),
        ("at(2026-12-01T10:00:00)", ["2026-12-01 10:00"]),
        ("at(2026-01-01T10:00:00)", []),
    ],
)  # fmt: skip
def test_next_fires(expression: str, expected: list[str]) -> None:
    assert fires(expression, "2026-11-24 12:00", max(len(expected), 1)) == expected


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("0 9 * * ? *", "Use cron"),
        ("cron(0 9 * * ?)", "5 fields"),
        ("cron(0 9 * * * *)", "exactly one"),
        ("cron(0 9 ? * ? *)", "exactly one"),
        ("cron(60 9 * * ? *)", "minutes '60'"),
        ("cron(0 9 L-3 * ? *)", "day-of-month"),
        ("cron(0 9 LW * ? *)", "day-of-month"),
        ("cron(0 9 1W,2W * ? *)", "day-of-month"),
        ("cron(0 9 ? * 3#1,6#3 *)", "day-of-week"),
        ("cron(0 9 ? * 2,3#1 *)", "one DAY#NUMBER"),
        ("cron(0 9 ? * MON#6 *)", "weekday number 6"),
        ("cron(0 9 ? * MON#0 *)", "weekday number 0"),
        ("cron(0 9 ? * 8L *)", "day-of-week '8'"),
        ("cron(0 9 ? * L,2 *)", "day-of-week"),
        ("cron(0 9 32W * ? *)", "day-of-month '32'"),
        ("cron(0 9 W * ? *)", "day-of-month"),
        ("cron(0 9 ?/2 * ? *)", "day-of-month '?'"),
        ("cron(0 9 0 * ? *)", "day-of-month '0'"),
        ("cron(0 9 * 13 ? *)", "1 to 12 or JAN-DEC"),
        ("cron(0 9 * MON ? *)", "month 'MON'"),
        ("cron(? 9 * * ? *)", "minutes '?'"),
        ("cron(0 24 * * ? *)", "hours '24'"),
        ("cron(, 9 * * ? *)", "minutes ''"),
        ("cron(1- 9 * * ? *)", "minutes ''"),
        ("cron(/5 9 * * ? *)", "minutes ''"),
        ("cron(5/ 9 * * ? *)", "step"),
        ("cron(*/60 9 * * ? *)", "step"),
        ("cron(*-5 9 * * ? *)", "minutes '*'"),
        ("cron(0 9 * * ? 1969)", "1970 to 2199"),
        ("CRON(0 9 * * ? *)", "Use cron"),
        ("cron(0 9 * * ? *) ", "Use cron"),
        ("cron(0\u00a09 * * ? *)", "ASCII"),
        ("cron(0 9 ? * frı *)", "ASCII"),
        ("cron(0 9 * *\n? *)", "ASCII"),
        ("cron(0 9 * * ? 2030-2026)", "later than"),
        ("cron(0 9 * * ? 2200)", "1970 to 2199"),
        ("cron(0/0 9 * * ? *)", "step"),
        ("cron(٣ 9 * * ? *)", "ASCII"),
        ("rate(-5 minutes)", "positive"),
        ("rate(1.5 hours)", "positive"),
        ("rate(5 weeks)", "positive"),
        ("at(2026-1-1T10:00:00)", "without an offset"),
        ("rate(1 minutes)", "rate(1 minute)"),
        ("rate(5 minute)", "rate(5 minutes)"),
        ("rate(0 minutes)", "positive"),
        ("rate(99999999999999 days)", "too long"),
        ("at(2026-02-30T10:00:00)", "day"),
        ("at(2026-02-03T10:00:00Z)", "offset"),
        ("cron(" + "0," * 130 + "0 9 * * ? *)", "256"),
    ],
)
def test_an_expression_that_eventbridge_rejects_is_an_error(expression: str, word: str) -> None:
    with pytest.raises(InvalidExpression, match="(?s).*" + word.replace("(", r"\(").replace(")", r"\)")):
        parse(expression)
