"""The evaluator against the slow reference: any expression, any zone, 1970 to 2199."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.schedules.expressions import InvalidExpression, next_fire, occurrences, parse
from nightferry.testing.tiers import examples
from tests.schedules.reference import DAYS, MINUTE, MONTHS, SlowCron, changes, shown, slow_next

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "America/New_York",
        "America/St_Johns",
        "America/Santiago",  # changes at midnight
        "Europe/London",
        "Europe/Dublin",  # its winter time is the daylight-saving one, with a negative offset
        "Africa/Casablanca",  # back for Ramadan
        "Africa/Monrovia",  # an offset with seconds until 1972
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Asia/Tehran",
        "Australia/Sydney",
        "Australia/Lord_Howe",  # by half an hour
        "Pacific/Apia",  # without 30 December 2011
        "Pacific/Kwajalein",  # without 21 August 1993
        "Antarctica/Troll",  # by two hours
    )
]
MINUTES_OF_ALL_YEARS = 60 * 24 * 365 * 229


def fields(low: int, high: int, names: list[str] | None = None, *, wraps: bool = True) -> st.SearchStrategy[str]:
    """A list of values, names, ranges (over the top too) and steps."""

    def written(value: int) -> st.SearchStrategy[str]:
        spellings = [str(value), f"{value:02}"]
        if names is not None:
            spellings += [names[value], names[value].lower()]
        return st.sampled_from(spellings)

    one = st.integers(low, high).flatmap(written)
    pairs = st.tuples(st.integers(low, high), st.integers(low, high))
    pairs = pairs if wraps else pairs.map(lambda pair: (min(pair), max(pair)))
    span = pairs.flatmap(lambda pair: st.tuples(written(pair[0]), written(pair[1]))).map("-".join)
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


@settings(max_examples=examples(150), deadline=None)
@given(fields(0, 59), fields(0, 23), days, months, years, st.sampled_from(ZONES), instants)
def test_any_expression_fires_next_when_the_slow_reading_says(
    minutes: str, hours: str, day: tuple[str, str], month: str, year: str, zone: ZoneInfo, after: datetime
) -> None:
    text = (minutes, hours, day[0], month, day[1], year)
    assert next_fire(parse(f"cron({' '.join(text)})"), after, zone) == slow_next(SlowCron(*text), after, zone)


@settings(max_examples=examples(60), deadline=None)
@given(fields(0, 59), fields(0, 23), days, st.sampled_from(ZONES), st.data())
def test_around_changes_of_the_clocks_it_fires_at_the_very_minutes(
    minutes: str, hours: str, day: tuple[str, str], zone: ZoneInfo, data: st.DataObject
) -> None:
    year = data.draw(st.integers(1970, 2199))
    change = data.draw(st.sampled_from([*changes(zone, range(year, year + 1)), datetime(year, 6, 1, tzinfo=UTC)]))
    since, until = change - timedelta(hours=20), change + timedelta(hours=20)
    text = (minutes, hours, day[0], "*", day[1], "*")
    slow = SlowCron(*text)
    expected = [instant for instant, wall, first in shown(zone, since, until) if first and slow.means(wall)]
    found = occurrences(parse(f"cron({' '.join(text)})"), since, zone, end=until - MINUTE)
    assert [one.instant for one in found if one.fires] == expected


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_every_change_of_the_clocks_one_by_one(zone: ZoneInfo) -> None:
    """Each minute around it fires once, at its first instant, and what is skipped or shown twice is told."""
    every_minute = parse("cron(* * * * ? *)")
    some_years = [*range(1970, 2030, 3), 2037, 2038, 2087, 2100, 2199]  # the rules of a zone repeat from 2038 on
    for change in (change for year in some_years for change in changes(zone, range(year, year + 1))):
        since, until = change - timedelta(hours=3), change + timedelta(hours=4)
        walls: dict[datetime, list[datetime]] = {}
        for instant, wall, _ in shown(zone, since, until + timedelta(hours=3)):
            walls.setdefault(wall, []).append(instant)
        found = list(occurrences(every_minute, since, zone, end=until - MINUTE))
        assert all(one.instant <= later.instant for one, later in pairwise(found))
        for one in found:
            if one.fires:
                assert one.instant == walls[one.wall][0]
                assert (one.change == "repeated") == (len(walls[one.wall]) == 2)
            else:
                assert one.wall not in walls
                assert one.instant.replace(second=0) == change
        fired = {one.wall for one in found if one.fires}
        assert fired == {wall for wall, instants in walls.items() if since < instants[0] < until and wall.second == 0}


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_scheduler_that_asks_minute_by_minute_gets_every_fire(zone: ZoneInfo) -> None:
    """The engine asks for the fires between two looks: none is lost where the looks are around a change."""
    expression = parse("cron(0/10 * * * ? *)")
    for change in changes(zone, range(2011, 2012)):
        since, until = change - timedelta(hours=2), change + timedelta(hours=3)
        asked, moment = [], since
        while moment < until:
            asked += [one for one in occurrences(expression, moment, zone, end=moment + MINUTE) if one.fires]
            moment += MINUTE
        assert asked == [one for one in occurrences(expression, since, zone, end=until) if one.fires]
        assert len(asked) > 12


@settings(max_examples=examples(300), deadline=None)
@given(st.text(alphabet="0123456789*?/,-#LWMONFRIcronat( )T:", max_size=40).map(lambda text: f"cron({text})"))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    try:
        next_fire(parse(text), datetime(2026, 1, 1, tzinfo=UTC))
    except InvalidExpression as error:
        reason = str(error)
    else:
        reason = text
    assert text in reason or repr(text) in reason
