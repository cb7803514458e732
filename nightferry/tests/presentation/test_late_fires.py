"""Late fires: those that a local engine has not decided, and those on AWS for which no start is found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from nightferry.backend.interface import Backend
from nightferry.backend.queries import Cursor, Page
from nightferry.backend.starts import NotKnown, ScheduleProgress, Start, StartFilter
from nightferry.catalog.catalog import Catalog
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.presentation.schedules.late_fires import find_late_fires
from nightferry.presentation.schedules.schedules import read_schedules
from tests.local.toy import make_project

NOW = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Recorded:
    """A backend that has recorded starts; ``progress`` is None on AWS."""

    def __init__(self, starts: list[datetime], progress: ScheduleProgress | None = None) -> None:
        self._starts = sorted(starts, reverse=True)
        self._progress = progress

    def schedule_progress(self) -> Mapping[str, ScheduleProgress] | NotKnown:
        return NotKnown("on AWS") if self._progress is None else {"s": self._progress}

    def starts(self, wanted: StartFilter, *, limit: int) -> Page[Start]:
        found = [one for one in self._starts if wanted.since is None or one >= wanted.since][:limit]
        starts = tuple(Start("schedule:s", "task", "hello", due, due, "started") for due in found)
        complete = len(starts) < limit
        return Page(starts, None if complete else Cursor(starts[-1].decided_at, "x"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.find(make_project(tmp_path))


def find(project: Project, expression: str, recorded: Recorded, **options: Any) -> list[datetime]:
    catalog: Catalog = project.catalog
    catalog.schedules.pop("s", None)
    catalog.schedule("s", catalog.tasks["hello"], expression, env={"COLOR": "red"}, **options)
    environment: Environment = project.environment("local")
    backend = cast(Backend, recorded)
    late = find_late_fires(backend, read_schedules(catalog, environment, backend, NOW), NOW)
    assert all(one.reason.endswith(".") for one in late)
    return [fire for one in late for fire in one.fires]


def test_an_engine_has_decided_all_fires_up_to_a_time(project: Project) -> None:
    progress = ScheduleProgress(True, NOW - 9 * HOUR, NOW - 3 * HOUR)
    assert find(project, "cron(0 * * * ? *)", Recorded([], progress)) == [NOW - 2 * HOUR, NOW - HOUR]
    assert find(project, "rate(4 hours)", Recorded([], progress)) == [NOW - HOUR]
    assert find(project, "cron(0 * * * ? *)", Recorded([], progress), enabled=False) == []
    asleep = ScheduleProgress(False, NOW - 9 * HOUR, NOW - 3 * HOUR)
    assert find(project, "cron(0 * * * ? *)", Recorded([], asleep)) == []


def test_a_fire_is_late_after_a_minute(project: Project) -> None:
    progress = ScheduleProgress(True, NOW - 9 * HOUR, NOW - HOUR)
    assert find(project, "cron(59 11 * * ? *)", Recorded([], progress)) == [NOW - timedelta(minutes=1)]
    assert find(project, "cron(0 12 * * ? *)", Recorded([], progress)) == []


def test_many_undecided_fires_are_bounded(project: Project) -> None:
    progress = ScheduleProgress(True, NOW - 9 * HOUR, NOW - timedelta(days=3000))
    assert len(find(project, "cron(* * * * ? *)", Recorded([], progress))) == 100


def test_on_aws_the_last_fires_without_a_start_are_late(project: Project) -> None:
    times = [NOW - n * HOUR for n in range(1, 30) if n != 5]
    assert find(project, "cron(0 * * * ? *)", Recorded(times)) == [NOW - 5 * HOUR]
    assert find(project, "cron(30 8 * * ? *)", Recorded([])) == [datetime(2026, 11, 10, 8, 30, tzinfo=UTC)]
    assert find(project, "cron(58 11 * * ? *)", Recorded([])) == [datetime(2026, 11, 9, 11, 58, tzinfo=UTC)]
    seconds_later = [NOW - n * HOUR + timedelta(seconds=17) for n in range(1, 30)]  # of a classic rule
    assert find(project, "cron(0 * * * ? *)", Recorded(seconds_later)) == []


def test_on_aws_fires_before_the_first_start_that_was_read_are_not_compared(project: Project) -> None:
    often = [NOW - timedelta(seconds=n) for n in range(2000)]
    assert find(project, "cron(0 * * * ? *)", Recorded(often)) == []


def test_on_aws_a_rate_counts_from_any_of_its_starts(project: Project) -> None:
    origin = NOW - timedelta(days=3, minutes=7)
    times = [origin + n * 2 * HOUR for n in range(37) if n != 30]
    assert find(project, "rate(2 hours)", Recorded(times)) == [origin + 60 * HOUR]
    assert find(project, "rate(2 hours)", Recorded([])) == []
