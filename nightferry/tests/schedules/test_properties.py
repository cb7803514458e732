"""Random expressions in many zones from 1970 to 2199, compared with a slow reference implementation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.schedules.expressions import InvalidExpression, find_next_fire, iterate_occurrences, parse
from nightferry.testing.tiers import examples
from tests.schedules.reference import DAYS, MINUTE, MONTHS, SlowCron, find_changes, find_next_slowly, iterate_minutes

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "America/New_York",
        "America/St_Johns",
        "America/Santiago",  # changes at midnight
        "Europe/London",
        "Europe/Dublin",  # its winter time is defined as daylight saving time, with a negative offset
        "Africa/Casablanca",  # the clocks go back for Ramadan
        "Africa/Monrovia",  # an offset with seconds until 1972
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Asia/Tehran",
        "Australia/Sydney",
        "Australia/Lord_Howe",  # changes by half an hour
        "Pacific/Apia",  # skipped December 30, 2011
        "Pacific/Kwajalein",  # skipped August 21, 1993
        "Antarctica/Troll",  # changes by two hours
    )
]
MINUTES_OF_ALL_YEARS = 60 * 24 * 365 * 229


def fields(low: int, high: int, names: list[str] | None = None, *, wraps: bool = True) -> st.SearchStrategy[str]:
    """Return a strategy for lists of values, names, ranges (including ranges that wrap) and steps."""

    def spell(value: int) -> st.SearchStrategy[str]:
        spellings = [str(value), f"{value:02}"]
        if names is not None:
            spellings += [names[value], names[value].lower()]
        return st.sampled_from(spellings)

    one = st.integers(low, high).flatmap(spell)
    pairs = st.tuples(st.integers(low, high), st.integers(low, high))
    pairs = pairs if wraps else pairs.map(lambda pair: (min(pair), max(pair)))
    span = pairs.flatmap(lambda pair: st.tuples(spell(pair[0]), spell(pair[1]))).map("-".join)
    step = st.integers(1, min(high, 40)).map(str)
    stepped = st.tuples(st.one_of(st.just("*"), one, span), step).map("/".join)
    return st.one_of(st.just("*"), st.lists(st.one_of(one, span, stepped), min_size=1, max_size=3).map(",".join))


days = st.one_of(
    st.tuples(st.one_of(fields(1, 31), st.just("L"), st.integers(1, 31).map("{}W".format)), st.just("?")),
    st.tuples(
        st.just("?"),
        st.one_of(
            fields(1, 7, DAYS),
            st.just("L"),
            st.integers(1, 7).map("{}L".format),
            st.tuples(st.sampled_from([*DAYS[1:], "1", "7"]), st.integers(1, 5)).map(lambda p: f"{p[0]}#{p[1]}"),
        ),
    ),
)
months = fields(1, 12, MONTHS)
years = st.one_of(st.just("*"), fields(1970, 2199, wraps=False))
instants = st.builds(
    lambda minutes, seconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes, seconds=seconds),
    st.integers(0, MINUTES_OF_ALL_YEARS),
    st.sampled_from([0, 17, 59]),
)


@settings(max_examples=examples(75), deadline=None)
@given(fields(0, 59), fields(0, 23), days, months, years, st.sampled_from(ZONES), instants)
def test_the_next_fire_equals_that_of_the_reference(
    minutes: str, hours: str, day: tuple[str, str], month: str, year: str, zone: ZoneInfo, after: datetime
) -> None:
    text = (minutes, hours, day[0], month, day[1], year)
    assert find_next_fire(parse(f"cron({' '.join(text)})"), after, zone) == find_next_slowly(
        SlowCron(*text), after, zone
    )


@settings(max_examples=examples(30), deadline=None)
@given(fields(0, 59), fields(0, 23), days, st.sampled_from(ZONES), st.data())
def test_fires_around_a_clock_change_equal_those_of_the_reference(
    minutes: str, hours: str, day: tuple[str, str], zone: ZoneInfo, data: st.DataObject
) -> None:
    year = data.draw(st.integers(1970, 2199))
    change = data.draw(st.sampled_from([*find_changes(zone, range(year, year + 1)), datetime(year, 6, 1, tzinfo=UTC)]))
    since, until = change - timedelta(hours=20), change + timedelta(hours=20)
    text = (minutes, hours, day[0], "*", day[1], "*")
    slow = SlowCron(*text)
    expected = [instant for instant, wall, first in iterate_minutes(zone, since, until) if first and slow.matches(wall)]
    last = until - timedelta(seconds=1)  # Monrovia was 44 minutes and 30 seconds behind UTC until 1972
    found = iterate_occurrences(parse(f"cron({' '.join(text)})"), since, zone, end=last)
    assert [one.instant for one in found if one.fires] == expected


@pytest.mark.sampled(4)
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_every_minute_around_a_clock_change(zone: ZoneInfo) -> None:
    """Each local minute fires once, at its first instant; skipped and repeated minutes are marked."""
    every_minute = parse("cron(* * * * ? *)")
    some_years = [*range(1970, 2030, 3), 2037, 2038, 2087, 2100, 2199]  # each zone's rules repeat from 2038 on
    for change in (change for year in some_years for change in find_changes(zone, range(year, year + 1))):
        since, until = change - timedelta(hours=3), change + timedelta(hours=4)
        walls: dict[datetime, list[datetime]] = {}
        for instant, wall, _ in iterate_minutes(zone, since, until + timedelta(hours=3)):
            walls.setdefault(wall, []).append(instant)
        found = list(iterate_occurrences(every_minute, since, zone, end=until - MINUTE))
        assert all(one.instant <= later.instant for one, later in pairwise(found))
        for one in found:
            if one.fires:
                assert one.instant == walls[one.local_time][0]
                assert (one.change == "repeated") == (len(walls[one.local_time]) == 2)
            else:
                assert one.local_time not in walls
                assert one.instant.replace(second=0) == change
        fired = {one.local_time for one in found if one.fires}
        assert fired == {wall for wall, instants in walls.items() if since < instants[0] < until and wall.second == 0}


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_queries_minute_by_minute_return_every_fire(zone: ZoneInfo) -> None:
    """The engine queries the fires of short intervals; none may be lost around a clock change."""
    expression = parse("cron(0/10 * * * ? *)")
    for change in find_changes(zone, range(2011, 2012)):
        since, until = change - timedelta(hours=2), change + timedelta(hours=3)
        found, moment = [], since
        while moment < until:
            found += [one for one in iterate_occurrences(expression, moment, zone, end=moment + MINUTE) if one.fires]
            moment += MINUTE
        assert found == [one for one in iterate_occurrences(expression, since, zone, end=until) if one.fires]
        assert len(found) > 12


@settings(max_examples=examples(150), deadline=None)
@given(st.text(alphabet="0123456789*?/,-#LWMONFRIcronat( )T:", max_size=40).map(lambda text: f"cron({text})"))
def test_any_text_is_parsed_or_rejected_with_a_reason(text: str) -> None:
    try:
        find_next_fire(parse(text), datetime(2026, 1, 1, tzinfo=UTC))
    except InvalidExpression as error:
        reason = str(error)
    else:
        reason = text
    assert text in reason or repr(text) in reason
