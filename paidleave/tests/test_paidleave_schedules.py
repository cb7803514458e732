"""The schedules against the system that they replace: two expressions in UTC each, of which a hand chose one.

The old rules had one expression for standard time and one for daylight time. Where a schedule names its zone, it must
fire when the first would in winter and when the second would in summer, on both sides of each change of the clocks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nightferry.catalog.references import substitute
from nightferry.environments.project import Project
from nightferry.schedules.expressions import next_fire, parse

NEW_YORK = ZoneInfo("America/New_York")

# Schedule: (in standard time, in daylight time), in UTC.
REPLACED = {
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
# In spring, in autumn, and a year in which both come on other days.
PERIODS = [("2026-02-25", "2026-03-20"), ("2026-10-20", "2026-11-12"), ("2027-03-01", "2027-03-25")]


def fires(expression: str, zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
    found, now = [], start
    while (fire := next_fire(parse(expression), now, zone)) and fire < end:
        found.append(fire)
        now = fire
    return found


def in_daylight_time(moment: datetime) -> bool:
    return bool(moment.astimezone(NEW_YORK).dst())


@pytest.fixture(scope="module")
def project() -> Project:
    return Project.find(Path(__file__).parent)


@pytest.mark.parametrize("name", REPLACED)
@pytest.mark.parametrize("period", PERIODS)
def test_a_schedule_fires_as_the_two_that_it_replaces_would(
    project: Project, name: str, period: tuple[str, str]
) -> None:
    schedule = project.catalog.schedules[name]
    settings = project.environment("prod").settings
    expression = substitute(schedule.expression, lambda reference: settings[reference.name])
    start, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in period)
    standard, daylight = REPLACED[name]
    expected = sorted(
        [fire for fire in fires(standard, UTC, start, end) if not in_daylight_time(fire)]
        + [fire for fire in fires(daylight, UTC, start, end) if in_daylight_time(fire)]
    )
    assert schedule.timezone == "America/New_York"
    assert fires(expression, ZoneInfo(schedule.timezone), start, end) == expected
    assert len(expected) >= (end - start) // timedelta(days=7)


def test_no_schedule_is_left_in_utc(project: Project) -> None:
    assert {schedule.timezone for schedule in project.catalog.schedules.values()} == {"America/New_York"}
