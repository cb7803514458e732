"""``nightferry next`` on terminals, in pipes and as JSON, across clock changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.local.store import ScheduleRecord, Store
from tests.cli.terminal import nightferry, on_terminal
from tests.module_names import module_name

CATALOG = """
from datetime import UTC, datetime
from pydantic import BaseModel
from nightferry import Catalog, Image

class Settings(BaseModel):
    "Nothing."

catalog = Catalog("timed", image=Image("timed"))
job = catalog.task("job", command=["job"], config=Settings)
zone = "America/New_York"
catalog.schedule("nightly", job, "cron(30 2 * * ? *)", timezone=zone)
catalog.schedule("autumn", job, catalog.setting("autumn", default="cron(30 1 ? 11 * *)"), timezone=zone)
catalog.schedule("quarters", job, "cron(0/15 2 * * ? *)", timezone=zone)
catalog.schedule("steady", job, "rate(90 minutes)", timezone=zone)
catalog.schedule("once", job, "at(2020-01-01T00:00:00)")
catalog.schedule("season", job, "cron(0 12 * * ? *)", start=datetime(2026, 3, 7, 12, tzinfo=UTC),
                 end=datetime(2026, 3, 8, 12, tzinfo=UTC))
catalog.schedule("asleep", job, "cron(0 12 * * ? *)", enabled=False)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    module = module_name("timed", tmp_path)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "local.toml").write_text('backend = "local"\n')
    (tmp_path / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (tmp_path / f"{module}.py").write_text(CATALOG)
    return tmp_path


def rows(root: Path, *arguments: str) -> list[list[str]]:
    return [line.split("\t")[1:] for line in nightferry(root, "next", *arguments).stdout.splitlines()]


def test_a_pipe_gets_one_line_per_fire_and_per_skipped_time(root: Path) -> None:
    assert rows(root, "nightly", "--at", "2026-03-07T00:00:00-05:00", "--count", "2") == [
        ["Sat 2026-03-07 02:30 EST", "America/New_York", "Sat 2026-03-07 07:30", ""],
        ["Sun 2026-03-08 02:30", "America/New_York", "-", "skipped: clocks go forward"],
        ["Mon 2026-03-09 02:30 EDT", "America/New_York", "Mon 2026-03-09 06:30", ""],
    ]
    several = rows(root, "quarters", "--at", "2026-03-07T03:00:00-05:00", "--count", "1")
    assert several[0] == [
        "Sun 2026-03-08 02:00…02:45", "America/New_York", "-", "skipped: clocks go forward (4 times)",
    ]  # fmt: skip


def test_a_repeated_local_time_is_marked(root: Path) -> None:
    (row,) = rows(root, "autumn", "--at", "2026-11-01T00:00:00-04:00", "--count", "1")
    assert row[0] == "Sun 2026-11-01 01:30 EDT"
    assert "first of two" in row[3]


def test_expired_and_disabled_schedules_and_new_rates_are_marked(root: Path) -> None:
    assert rows(root, "once") == [["-", "UTC", "-", "no further fires"]]
    assert "disabled in local" in rows(root, "asleep", "--count", "1")[0][3]
    (steady,) = rows(root, "steady", "--at", "2026-03-07T00:00:00+00:00", "--count", "1")
    assert steady[2:] == ["Sat 2026-03-07 01:30", "counted from now; the first fire is at its creation"]


def test_a_declared_period_limits_the_fires(root: Path) -> None:
    assert rows(root, "season", "--at", "2026-01-01T00:00:00+00:00") == [
        ["Sat 2026-03-07 12:00 UTC", "UTC", "Sat 2026-03-07 12:00", ""],
        ["Sun 2026-03-08 12:00 UTC", "UTC", "Sun 2026-03-08 12:00", ""],
        ["-", "UTC", "-", "no further fires"],
    ]


def test_a_rate_counts_from_the_time_when_the_engine_first_loaded_it(root: Path) -> None:
    project = Project.find(root)
    store = Store(project.state / "engine.sqlite")
    seen = datetime(2026, 3, 7, 0, 10, tzinfo=UTC)
    store.save_schedule(ScheduleRecord("steady", "", True, seen, seen))
    store.close()
    (steady,) = rows(root, "steady", "--at", "2026-03-07T12:00:00+00:00", "--count", "1")
    assert steady[2:] == ["Sat 2026-03-07 12:10", ""]


def test_json_contains_the_fires_and_the_times_skipped_before_them(root: Path) -> None:
    arguments = ("--at", "2026-03-07T12:00:00-05:00", "--count", "1", "--json")
    (fire,) = json.loads(nightferry(root, "next", "quarters", *arguments).stdout)
    assert fire == {
        "schedule": "quarters",
        "expression": "cron(0/15 2 * * ? *)",
        "timezone": "America/New_York",
        "enabled": True,
        "utc": "2026-03-09T06:00:00+00:00",
        "local": "2026-03-09T02:00:00-04:00",
        "repeated": False,
        "skipped": {"first": "2026-03-08T02:00:00", "last": "2026-03-08T02:45:00", "times": 4},
    }
    assert json.loads(nightferry(root, "next", "once", "--json").stdout) == []
    everything = json.loads(nightferry(root, "next", "--json", "--count", "2").stdout)
    assert [row["schedule"] for row in everything].count("nightly") == 2


def test_a_terminal_shows_each_schedule_with_its_expression_and_zone(root: Path) -> None:
    code, drawn = on_terminal(root, "next", "--at", "2026-03-07T00:00:00-05:00")
    assert code == 0
    assert "nightly  cron(30 2 * * ? *)  America/New_York" in drawn
    assert "Sat 2026-03-07 02:30 EST  Sat 2026-03-07 07:30 UTC" in drawn
    assert "asleep  cron(0 12 * * ? *)  UTC  disabled in local" in drawn


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("nigthly",), "nightly"),
        (("--at", "tomorrow"), "is not a time. Use"),
        (("--at", "0001-01-01"), "1970 to 2199"),
    ],
)
def test_usage_errors_are_reported(root: Path, arguments: tuple[str, ...], word: str) -> None:
    ended = nightferry(root, "next", *arguments)
    assert ended.returncode == 2
    assert word in ended.stderr
