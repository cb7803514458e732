"""The fires of a month against an independent calculation, with both changes of daylight saving time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.costs.fires import InvalidMonth, Month, count_fires, count_starts
from nightferry.environments.environment import parse
from tests.costs.declared import Settings

NEW_YORK = ZoneInfo("America/New_York")


def walk(month: Month, hours: set[int], minutes: set[int], weekdays: set[int]) -> int:
    """Count by testing every quarter of an hour in UTC: a local time counts once, at its first instant."""
    count, at, seen = 0, month.begin, set()
    while at < month.end:
        local = at.astimezone(NEW_YORK)
        if local.hour in hours and local.minute in minutes and local.weekday() in weekdays:
            time = local.replace(tzinfo=None, fold=0)
            repeated = (at - timedelta(hours=1)).astimezone(NEW_YORK).replace(tzinfo=None) == time
            count += time not in seen and not repeated
            seen.add(time)
        at += timedelta(minutes=15)
    return count


ALL = set(range(7))


@pytest.mark.parametrize(
    ("expression", "hours", "minutes", "weekdays"),
    [
        ("cron(30 20 * * ? *)", {20}, {30}, ALL),
        ("cron(30 2 * * ? *)", {2}, {30}, ALL),  # skipped in March
        ("cron(30 1 * * ? *)", {1}, {30}, ALL),  # twice in November, but fires once
        ("cron(0/15 1-2 ? * SUN *)", {1, 2}, {0, 15, 30, 45}, {6}),
        ("cron(0 22 ? * SUN-THU *)", {22}, {0}, {6, 0, 1, 2, 3}),
    ],
)
@pytest.mark.parametrize("month", [Month(2026, 2), Month(2026, 3), Month(2026, 11), Month(2028, 2)], ids=str)
def test_fires_equal_those_of_a_walk_over_the_month(
    month: Month, expression: str, hours: set[int], minutes: set[int], weekdays: set[int]
) -> None:
    catalog = Catalog("app", image=Image("app"))
    load = catalog.task("load", command=["load"], config=Settings)
    schedule = catalog.schedule("s", load, expression, timezone="America/New_York")
    environment = parse("x", 'backend = "local"\n', catalog, Path("x.toml"))
    assert count_fires(schedule, environment, month.begin, month.end) == walk(month, hours, minutes, weekdays)


def test_starts_by_target_without_disabled_schedules() -> None:
    catalog = Catalog("app", image=Image("app"))
    load = catalog.task("load", command=["load"], config=Settings)
    catalog.schedule("nightly", load, catalog.setting("when", default="cron(0 3 * * ? *)"))
    catalog.schedule("often", load, "rate(6 hours)")
    catalog.schedule("off", load, "cron(0 3 * * ? *)", enabled=catalog.setting("on", default=False))
    catalog.schedule("once", load, "at(2026-11-05T00:00:00)")
    catalog.schedule("season", load, "cron(0 12 * * ? *)", start=datetime(2026, 11, 29, 12, tzinfo=UTC))
    environment = parse("x", 'backend = "local"\n', catalog, Path("x.toml"))
    month = Month(2026, 11)
    found = count_starts(catalog, environment, month.begin, month.end)
    assert found == {"load": {"nightly": 30, "often": 120, "once": 1, "season": 2}}
    other = parse(
        "x", 'backend = "local"\n[settings]\non = true\nwhen = "cron(0 3 1 * ? *)"\n', catalog, Path("x.toml")
    )
    assert count_starts(catalog, other, month.begin, month.end)["load"] == {
        **found["load"], "nightly": 1, "off": 30,
    }  # fmt: skip


def test_a_month_is_a_month_of_utc() -> None:
    assert Month.parse("2026-12").end == datetime(2027, 1, 1, tzinfo=UTC)
    assert (Month.parse("2028-02").days, str(Month.parse("2028-2"))) == (29, "2028-02")
    assert Month.of(datetime(2026, 10, 31, 22, tzinfo=NEW_YORK)) == Month(2026, 11)
    for text in ("2026", "2026-13", "11-2026", "", "2026-11-01"):
        with pytest.raises(InvalidMonth, match=r"Write it as in 2026-11"):
            Month.parse(text)
