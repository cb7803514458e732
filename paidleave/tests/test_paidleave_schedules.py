"""The schedules fire at the same times as those of the old system, which had two expressions in UTC for each.

Operators switched between an expression for standard time and one for daylight saving time. A schedule with a time zone
must fire when the first would in winter and when the second would in summer, before and after each switch.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nightferry.catalog.references import substitute
from nightferry.environments.project import Project
from nightferry.schedules.expressions import find_next_fire, parse

NEW_YORK = ZoneInfo("America/New_York")

# Schedule: the old expressions in UTC for (standard time, daylight saving time).
OLD_EXPRESSIONS = {
    "dor-fineos-etl": ("cron(30 1 * * ? *)", "cron(30 0 * * ? *)"),
    "fineos-data-export-tool": ("cron(0 9 * * ? *)", "cron(0 8 * * ? *)"),
    "fineos-report-extracts-tool": ("cron(30 17,21 * * ? *)", "cron(30 16,20 * * ? *)"),
    "fineos-snapshot-extracts-tool": ("cron(0 8 ? * 4 *)", "cron(0 7 ? * 4 *)"),
    "import-fineos-to-warehouse": ("cron(0 4 * * ? *)", "cron(0 3 * * ? *)"),
    "fineos-error-extracts": ("cron(0 14 * * ? *)", "cron(0 13 * * ? *)"),
    "fineos-import-la-units": ("cron(0 3 ? * MON-FRI *)", "cron(0 2 ? * MON-FRI *)"),
    "weekend-fineos-import-la-units": ("cron(0 10 ? * SAT-SUN *)", "cron(0 9 ? * SAT-SUN *)"),
    "fineos-import-employee-updates": ("cron(30 13 * * ? *)", "cron(30 12 * * ? *)"),
    "export-psd-report": ("cron(0 13 * * ? *)", "cron(0 12 * * ? *)"),
}
# Switches in spring and in fall, and one of another year, on another day.
PERIODS = [("2026-02-25", "2026-03-20"), ("2026-10-20", "2026-11-12"), ("2027-03-01", "2027-03-25")]


def list_fires(expression: str, zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
    found, now = [], start
    while (fire := find_next_fire(parse(expression), now, zone)) and fire < end:
        found.append(fire)
        now = fire
    return found


def is_daylight_time(moment: datetime) -> bool:
    return bool(moment.astimezone(NEW_YORK).dst())


@pytest.fixture(scope="module")
def project() -> Project:
    return Project.find(Path(__file__).parent)


@pytest.mark.parametrize("name", OLD_EXPRESSIONS)
@pytest.mark.parametrize("period", PERIODS)
def test_a_schedule_fires_like_the_two_expressions_that_it_replaces(
    project: Project, name: str, period: tuple[str, str]
) -> None:
    schedule = project.catalog.schedules[name]
    settings = project.environment("prod").settings
    expression = substitute(schedule.expression, lambda reference: settings[reference.name])
    start, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in period)
    standard, daylight = OLD_EXPRESSIONS[name]
    expected = sorted(
        [fire for fire in list_fires(standard, UTC, start, end) if not is_daylight_time(fire)]
        + [fire for fire in list_fires(daylight, UTC, start, end) if is_daylight_time(fire)]
    )
    assert schedule.timezone == "America/New_York"
    assert list_fires(expression, ZoneInfo(schedule.timezone), start, end) == expected
    assert len(expected) >= (end - start) // timedelta(days=7)


# The reference, task-catalogue.md: 20:30 in production, in other environments each hour at five past.
@pytest.mark.parametrize(("environment", "fires"), [("prod", ["20:30"]), ("stage", None), ("test", None)])
def test_the_nightly_chain_starts_when_it_did(project: Project, environment: str, fires: list[str] | None) -> None:
    expression = project.environment(environment).settings["etl_schedule"]
    day = datetime(2026, 11, 20, tzinfo=NEW_YORK)
    found = list_fires(expression, NEW_YORK, day, day + timedelta(days=1))
    hourly = [f"{hour:02}:05" for hour in range(24)]
    assert [f"{fire.astimezone(NEW_YORK):%H:%M}" for fire in found] == (fires or hourly)


def test_no_schedule_uses_utc(project: Project) -> None:
    assert {schedule.timezone for schedule in project.catalog.schedules.values()} == {"America/New_York"}
