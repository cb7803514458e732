"""``nightferry backfill``: each time of a schedule in a range starts once, also after a kill -9."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.catalog.declarations import Schedule
from nightferry.cli.run.backfill_loop import TerminalBackfill
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.local.backend import LocalBackend
from nightferry.local.runs.starts import begin_execution
from nightferry.presentation.schedules.backfill import BackfillTime
from nightferry.presentation.schedules.backfill_times import Bound, parse_bound
from nightferry.schedules.expressions import find_next_fire, parse
from nightferry.schedules.fire_times import list_fires
from nightferry.testing import forked
from nightferry.testing.tiers import examples
from tests.cli.terminal import environment, nightferry
from tests.module_names import module_name

CATALOG = """
from datetime import UTC, datetime, timedelta
from nightferry import Catalog, Image
from nightferry.states.builder import RunTask, Steps

catalog = Catalog("shop", image=Image("shop"), leases=None)
out = catalog.setting("out")
load = catalog.task("load", command=["sh", "-c", 'echo "$SCHEDULED_AT" >> "$OUT"; [ ! -e "$OUT.fail" ]'],
                    env={"OUT": out})
catalog.schedule("nightly", load, "cron(30 1 * * ? *)", timezone="America/New_York")
catalog.schedule("often", load, "cron(0/1 * * * ? *)")
catalog.schedule("rate", load, "rate(1 day)")
catalog.schedule("counted", load, "rate(12 hours)", start=datetime(2026, 11, 1, tzinfo=UTC))
flow = catalog.workflow("flow", Steps(RunTask(load)), overlap="skip")
catalog.schedule("flows", flow, "cron(0 5 * * ? *)")
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    module = module_name("shop", root)
    (root / "environments").mkdir(parents=True)
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(CATALOG)
    (root / "environments" / "local.toml").write_text(f'backend = "local"\n[settings]\nout = "{root}/out"\n')
    return root


def read_starts(shop: Path) -> list[str]:
    return (shop / "out").read_text().split() if (shop / "out").exists() else []


NOVEMBER = ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]  # the clocks go back on the 1st


def test_dates_are_days_in_the_schedules_zone_and_each_time_starts_once(shop: Path) -> None:
    command = ["backfill", "nightly", "--from", "2026-10-31", "--to", "2026-11-02"]
    ended = nightferry(shop, *command, "--dry-run")
    assert ended.stdout.splitlines() == [f"{time}: would start" for time in NOVEMBER]
    assert read_starts(shop) == []
    ended = nightferry(shop, *command[:5], "2026-10-31T23:59:59-04:00")
    assert (ended.returncode, read_starts(shop)) == (0, NOVEMBER[:1])
    ended = nightferry(shop, *command, "--concurrency", "2", "--json")
    assert (ended.returncode, sorted(read_starts(shop))) == (0, NOVEMBER)
    found = json.loads(ended.stdout)
    assert [(one["scheduled_at"], one["state"], one["started_before"]) for one in found] == [
        (NOVEMBER[0], "succeeded", True),
        (NOVEMBER[1], "succeeded", False),
        (NOVEMBER[2], "succeeded", False),
    ]
    ended = nightferry(shop, *command)
    assert ended.stdout.count("left out, because an earlier start succeeded") == 3
    assert ended.stdout.endswith("3 of 3 times succeeded\n")
    assert len(read_starts(shop)) == 3
    run = json.loads(nightferry(shop, "status", found[1]["id"], "--json").stdout)
    assert (run["started_by"], run["scheduled_at"]) == ("backfill:nightly", "2026-11-01T05:30:00+00:00")


def test_a_failed_run_is_reported_and_its_redrive_counts(shop: Path) -> None:
    (shop / "out.fail").touch()
    command = ["backfill", "counted", "--from", "2026-11-01T12:00:00Z", "--to", "2026-11-01T12:00:00Z", "--json"]
    ended = nightferry(shop, *command)
    assert (ended.returncode, json.loads(ended.stdout)[0]["reason"]) == (1, "exit code 1")
    assert "0 of 1 times succeeded, 1 failed" in ended.stderr
    (shop / "out.fail").unlink()
    assert nightferry(shop, *command).returncode == 1  # a failed run is not started again by itself
    assert nightferry(shop, "redrive", json.loads(ended.stdout)[0]["id"]).returncode == 0
    ended = nightferry(shop, *command)
    assert (ended.returncode, json.loads(ended.stdout)[0]["state"]) == (0, "succeeded")
    assert read_starts(shop) == ["2026-11-01T12:00:00Z"] * 2  # a redrive keeps the time


def test_the_tasks_of_an_execution_receive_its_time(shop: Path) -> None:
    ended = nightferry(shop, "backfill", "flows", "--from", "2026-11-01", "--to", "2026-11-02")
    assert ended.returncode == 0
    assert read_starts(shop) == ["2026-11-01T05:00:00Z", "2026-11-02T05:00:00Z"]


def test_an_execution_waits_for_an_open_one_instead_of_being_skipped(shop: Path) -> None:
    project = Project.find(shop)
    backend = LocalBackend(project, project.environment("local"))
    declared, schedule = project.catalog.workflows["flow"], project.catalog.schedules["flows"]
    time = datetime(2026, 11, 1, 5, tzinfo=UTC)
    open_one = begin_execution(backend.store, declared, dict(declared.definition), {})
    assert backend.start_scheduled(schedule, time) is None
    assert backend.find_scheduled(schedule, [time]) == {}
    backend.store.mark_execution_ended(open_one.id, "ABORTED", None, None, None)
    id = backend.start_scheduled(schedule, time)
    assert id is not None
    assert backend.start_scheduled(schedule, time) == id
    assert backend.execution(id).input == {"scheduled_at": "2026-11-01T05:00:00Z", "schedule": "flows"}
    assert backend.find_scheduled(schedule, [time, time + timedelta(days=1)]) == {time: id}
    backend.store.close()


KILLED = """
import os, signal, sys
from nightferry.local.backend import LocalBackend

class Killed(LocalBackend):
    started = 0

    def start_scheduled(self, schedule, time):
        id = super().start_scheduled(schedule, time)
        Killed.started += 1
        if Killed.started == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return id

import nightferry.local.backend
nightferry.local.backend.LocalBackend = Killed
from nightferry.cli.app import main
main()
"""


def test_a_killed_backfill_continues_with_the_same_command(shop: Path) -> None:
    command = ["backfill", "nightly", "--from", "2026-11-01", "--to", "2026-11-03"]
    killed = forked.run([sys.executable, "-c", KILLED, *command], cwd=shop, env=environment(), capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert nightferry(shop, *command).returncode == 0
    starts = Counter(read_starts(shop))
    assert sorted(starts) == ["2026-11-01T05:30:00Z", *(f"2026-11-{day:02}T06:30:00Z" for day in range(2, 4))]
    assert set(starts.values()) == {1}


def test_ctrl_c_starts_nothing_more_and_tells_how_to_continue(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Interrupted(LocalBackend):
        def start_scheduled(self, schedule: Schedule, time: datetime) -> str | None:
            id = super().start_scheduled(schedule, time)
            os.kill(os.getpid(), signal.SIGINT)
            return id

    project = Project.find(shop)
    backend = Interrupted(project, project.environment("local"))
    times = [datetime.fromisoformat(time) for time in NOVEMBER]
    lines: list[str] = []
    entries = [BackfillTime(one) for one in times]
    report = TerminalBackfill(backend, project.catalog.schedules["nightly"], entries, 2, "local")
    report.run("Continue with: nightferry backfill …", lines.append)
    assert (report.interrupted, report.succeeded, read_starts(shop)) == (True, False, NOVEMBER[:1])
    assert lines[-1] == "1 of 3 times succeeded, 2 not started. Continue with: nightferry backfill …"
    assert "Nothing more is started. Continue with: nightferry backfill …" in capsys.readouterr().err
    backend.store.close()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["nigthly", "--from", "2026-11-01", "--to", "2026-11-02"],
            "Schedule 'nigthly' not found. Did you mean nightly",
        ),
        (["nightly", "--from", "2026-11-02", "--to", "2026-11-01"], "--to 2026-11-01 is before --from 2026-11-02"),
        (["nightly", "--from", "2026-11-01", "--to", "2199-01-01"], "--to 2199-01-01 is in the future"),
        (["nightly", "--from", "2026-02-30", "--to", "2026-11-01"], "--from 2026-02-30 is not a date"),
        (
            ["nightly", "--from", "soon", "--to", "2026-11-01"],
            "--from soon is not a time. Use a date such as 2026-11-24, 90s",
        ),
        (["nightly", "--from", "2026-11-01T10:00:00Z", "--to", "2026-11-01T11:00:00Z"], "has no time from"),
        (["rate", "--from", "2026-11-01", "--to", "2026-11-02"], "is rate(1 day) without a start"),
        (
            ["often", "--from", "2026-11-01", "--to", "2026-11-02"],
            "2,880 starts of load need a confirmation. Add --yes",
        ),
        (["often", "--from", "2026-01-01", "--to", "2026-11-02", "--yes"], "The range has more than 10,000 times"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(shop: Path, words: list[str], message: str) -> None:
    ended = nightferry(shop, "backfill", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("nightferry: ")
    assert message in ended.stderr
    assert read_starts(shop) == []


ZONES = st.sampled_from(["America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Santiago", "UTC"])
EXPRESSIONS = st.sampled_from(
    ["cron(30 1 * * ? *)", "cron(15 2 * * ? *)", "cron(0 0 ? * MON-FRI *)", "cron(0 0/7 L * ? *)", "rate(7 hours)",
     "cron(0/20 0-3 ? 3,10,11 SUN *)", "at(2026-03-08T02:30:00)", "at(2026-11-01T01:30:00)"]
)  # fmt: skip
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda time: time.replace(tzinfo=UTC))


@settings(max_examples=examples(40), deadline=None)
@given(text=EXPRESSIONS, zone=ZONES, first=INSTANTS, length=st.integers(0, 40 * 86400), origin=INSTANTS)
def test_the_times_of_a_backfill_are_the_fires_of_its_schedule(
    text: str, zone: str, first: datetime, length: int, origin: datetime
) -> None:
    expression, where, last = parse(text), ZoneInfo(zone), first + timedelta(seconds=length)
    expected, fire = [], find_next_fire(expression, first - timedelta.resolution, where, origin)
    while fire is not None and fire <= last:
        expected.append(fire)
        fire = find_next_fire(expression, fire, where, origin)
    assert list(list_fires(expression, where, first, last, start=origin)) == expected


def test_today_ends_now_and_other_days_at_midnight() -> None:
    zone, now = ZoneInfo("America/New_York"), datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert parse_bound(Bound("--from", "2026-11-01"), zone, now) == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert parse_bound(Bound("--to", "2026-11-01"), zone, now, whole_day=True) == now
    yesterday = parse_bound(Bound("--to", "2026-10-31"), zone, now, whole_day=True)
    assert yesterday == datetime(2026, 11, 1, 4, tzinfo=UTC) - timedelta.resolution
    with pytest.raises(NightferryError, match="not a date"):
        parse_bound(Bound("--to", "2026-13-01"), zone, now)
