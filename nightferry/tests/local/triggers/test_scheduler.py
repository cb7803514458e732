"""Test the scheduler with a fake clock: each fire starts once, across engine restarts and clock changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.backend.starts import StartFilter
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import CatchUp
from nightferry.catalog.references import substitute
from nightferry.environments.environment import Environment, parse
from nightferry.environments.project import Project
from nightferry.local.runs.starts import Starter
from nightferry.local.store import Store
from nightferry.local.triggers.scheduler import Scheduler
from nightferry.testing.tiers import examples
from tests.local.toy import make_project

NEW_YORK = ZoneInfo("America/New_York")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class FakeClock:
    """A clock that a test sets, also to earlier times."""

    def __init__(self, time: datetime) -> None:
        self._time = time

    def now(self) -> datetime:
        return self._time

    def set(self, time: datetime) -> None:
        self._time = time


@dataclass
class SchedulerHarness:
    """A store, a catalog and a fake clock, shared by successive engines."""

    file: Path
    catalog: Catalog
    environment: Environment
    clock: FakeClock

    def engine(self) -> Scheduler:
        """Create the scheduler of a new engine, which shares only the store with earlier ones."""
        store = Store(self.file)
        starter = Starter(store, self.catalog, lambda value: substitute(value, lambda one: one.name))
        return Scheduler(store, starter, self.catalog, self.environment, self.clock.now)

    def fires(self, name: str) -> list[datetime]:
        """Return the fires for which a schedule started a run, in order, and check that each has one run."""
        starts = Store(self.file).starts(StartFilter(f"schedule:{name}", "started"), limit=10**6)
        runs = Store(self.file).runs(limit=10**6)
        ours = [run for run in runs if run.started_by == f"schedule:{name}"]
        assert {run.id: run.scheduled_at for run in ours} == {start.id: start.due_at for start in starts}
        assert len(ours) == len(starts)
        return sorted(start.due_at for start in starts)

    def until(self, scheduler: Scheduler, end: datetime, step: timedelta = MINUTE) -> None:
        """Advance the clock to ``end`` in steps."""
        tick_until_idle(scheduler)
        while self.clock.now() < end:
            self.clock.set(min(end, self.clock.now() + step))
            tick_until_idle(scheduler)


def tick_until_idle(scheduler: Scheduler) -> None:
    """Call ``tick`` until nothing more is due."""
    while scheduler.tick():
        pass


MakeHarness = Callable[..., SchedulerHarness]


@pytest.fixture
def make_harness(tmp_path: Path) -> MakeHarness:
    def create(expression: str = "cron(0/5 * * * ? *)", text: str = "", **more: object) -> SchedulerHarness:
        project = Project.find(make_project(tmp_path / f"project{len(list(tmp_path.iterdir()))}"))
        catalog = project.catalog
        catalog.setting("every", default="rate(1 day)")
        catalog.setting("on", default=True)
        catalog.schedule("s", catalog.tasks["hello"], expression, **more)  # type: ignore[arg-type]
        file = Path("environments/local.toml")
        environment = parse("local", 'backend = "local"\n[settings]\ncolor = "blue"\n' + text, catalog, file)
        return SchedulerHarness(project.state / "engine.sqlite", catalog, environment, FakeClock(START))

    return create


def test_a_rate_begins_when_the_engine_first_sees_the_schedule(make_harness: MakeHarness) -> None:
    harness = make_harness("rate(1 hour)")
    harness.clock.set(START + timedelta(minutes=17))
    engine = harness.engine()
    tick_until_idle(engine)
    assert engine.next_fires() == [(START + timedelta(minutes=77), "s")]
    harness.until(engine, START + timedelta(minutes=100))
    harness.until(harness.engine(), START + timedelta(minutes=200))  # another engine with the same store
    assert harness.fires("s") == [START + timedelta(minutes=n) for n in (17, 77, 137, 197)]


def test_a_rate_that_is_counted_from_its_creation_fires_when_it_is_created(make_harness: MakeHarness) -> None:
    """EventBridge Scheduler does so without a start date, but not a classic rule."""
    fired = {}
    for name, more in (("free", {}), ("rule", {"via": "rule"}), ("started", {"start": START - timedelta(minutes=1)})):
        harness = make_harness("rate(1 hour)", **more)
        harness.clock.set(START + timedelta(seconds=0.4))
        tick_until_idle(harness.engine())
        tick_until_idle(harness.engine())
        fired[name] = harness.fires("s")
    assert fired == {"free": [START], "rule": [], "started": []}


def test_a_disabled_rate_does_not_fire_when_it_is_enabled_later(make_harness: MakeHarness) -> None:
    off = make_harness("rate(1 hour)", enabled=False)
    tick_until_idle(off.engine())
    on = make_harness("rate(1 hour)")
    on.file, on.clock = off.file, off.clock
    on.clock.set(START + timedelta(minutes=30))
    on.until(on.engine(), START + timedelta(minutes=70))
    assert on.fires("s") == [START + timedelta(hours=1)]


def test_a_daily_cron_across_daylight_saving_time(make_harness: MakeHarness) -> None:
    harness = make_harness("cron(30 2 * * ? *)", timezone="America/New_York")
    harness.until(harness.engine(), START + timedelta(days=300), timedelta(hours=1))
    days = {fire.astimezone(NEW_YORK).date() for fire in harness.fires("s")}
    all_days = {(START + timedelta(days=n)).date() for n in range(1, 301)}
    assert days == all_days - {datetime(2026, 3, 8).date()}, "2:30 does not exist on March 8"
    assert len(harness.fires("s")) == len(days)
    assert {fire.astimezone(NEW_YORK).time().isoformat() for fire in harness.fires("s")} == {"02:30:00"}


@pytest.mark.parametrize(
    ("catch_up", "minutes", "missed"),
    [
        ("skip", [5, 10, 45], ["6 missed since 2026-03-01 12:15:00 UTC; not started because of catch_up = skip."]),
        ("once", [5, 10, 40, 45], []),
        ("all", [5, 10, 15, 20, 25, 30, 35, 40, 45], []),
    ],
)
def test_missed_fires_are_handled_as_declared(
    make_harness: MakeHarness,
    catch_up: CatchUp,
    minutes: list[int],
    missed: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = make_harness(catch_up=catch_up)
    harness.until(harness.engine(), START + 11 * MINUTE)
    harness.clock.set(START + 45 * MINUTE + timedelta(seconds=59))  # down for half an hour; the last fire is not missed
    with caplog.at_level(logging.INFO, "nightferry.engine"):
        tick_until_idle(harness.engine())
    fires = [START + minute * MINUTE for minute in minutes]
    if catch_up == "once":
        assert "6 missed since 2026-03-01 12:15:00 UTC; one start for all of them." in caplog.text
    assert harness.fires("s") == fires
    assert [start.note for start in Store(harness.file).starts(StartFilter(outcome="missed"))] == missed
    tick_until_idle(harness.engine())
    assert harness.fires("s") == fires


def test_a_day_of_missed_minutes_is_caught_up(make_harness: MakeHarness) -> None:
    harness = make_harness("cron(* * * * ? *)", catch_up="all")
    tick_until_idle(harness.engine())
    harness.clock.set(START + timedelta(days=1))
    engine = harness.engine()
    engine.tick()
    assert len(harness.fires("s")) == 20, "a batch is limited so that other writers and the event loop do not wait"
    tick_until_idle(engine)
    assert harness.fires("s") == [START + n * MINUTE for n in range(1, 1441)]


def test_ten_years_of_missed_minutes_are_handled_quickly(make_harness: MakeHarness) -> None:
    harness = make_harness("cron(* * * * ? *)", catch_up="once")
    tick_until_idle(harness.engine())
    harness.clock.set(START + timedelta(days=3650) + timedelta(seconds=30))
    tick_until_idle(harness.engine())
    [missed, last] = reversed(Store(harness.file).starts())
    assert missed.note == "More than 10000 missed since 2026-03-01 12:01:00 UTC; one start for all of them."
    assert (missed.due_at, last.due_at) == (START + timedelta(days=3650) - MINUTE, START + timedelta(days=3650))


def test_catching_up_all_missed_fires_is_limited(make_harness: MakeHarness, caplog: pytest.LogCaptureFixture) -> None:
    harness = make_harness("cron(* * * * ? *)", catch_up="all")
    tick_until_idle(harness.engine())
    last = START + timedelta(minutes=4000)
    harness.clock.set(last)
    engine = harness.engine()
    with caplog.at_level(logging.INFO, "nightferry.engine"):
        tick_until_idle(engine)
    assert harness.fires("s") == [last - n * MINUTE for n in reversed(range(2001))]  # the last one is not late
    (missed,) = Store(harness.file).starts(StartFilter(outcome="missed"))
    assert missed.note == (
        "1999 missed since 2026-03-01 12:01:00 UTC; not started, because catch_up = all starts for the last 2,000 "
        "times only. To start the others: nightferry backfill s"
    )
    assert "1999 missed since" in caplog.text


def test_nothing_fires_twice_after_the_clock_goes_back(
    make_harness: MakeHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness = make_harness()
    engine = harness.engine()
    harness.until(engine, START + 31 * MINUTE)
    harness.clock.set(START + 3 * MINUTE)
    tick_until_idle(engine)
    assert "The clock was set back by 0:28:00" in caplog.text
    harness.until(engine, START + 41 * MINUTE)
    assert harness.fires("s") == [START + n * MINUTE for n in range(5, 45, 5)]


def test_a_clock_that_was_briefly_wrong_suppresses_no_fires(make_harness: MakeHarness) -> None:
    harness = make_harness("cron(0/5 * * * ? *)", catch_up="skip")
    engine = harness.engine()
    harness.until(engine, START + 6 * MINUTE)
    harness.clock.set(START + timedelta(days=50_000))
    tick_until_idle(engine)
    harness.clock.set(START + 7 * MINUTE)
    tick_until_idle(engine)
    harness.until(engine, START + 16 * MINUTE)
    assert harness.fires("s")[:3] == [START + n * MINUTE for n in (5, 10, 15)]


def test_a_changed_expression_has_no_fires_in_the_past(make_harness: MakeHarness) -> None:
    harness = make_harness("rate(1 hour)", catch_up="all")
    tick_until_idle(harness.engine())
    changed = make_harness("rate(10 minutes)", catch_up="all")
    changed.file, changed.clock = harness.file, harness.clock
    harness.clock.set(START + timedelta(hours=5))
    engine = changed.engine()
    tick_until_idle(engine)
    assert harness.fires("s") == [START], "only the fire at its creation"
    assert engine.next_fires() == [(START + timedelta(hours=5, minutes=10), "s")]


def test_a_removed_schedule_that_is_declared_again_has_no_fires_in_the_past(make_harness: MakeHarness) -> None:
    with_it = make_harness("rate(1 hour)", catch_up="all")
    with_it.until(with_it.engine(), START + timedelta(hours=1))
    without = make_harness()
    del without.catalog.schedules["s"]
    without.file, without.clock = with_it.file, with_it.clock
    without.until(without.engine(), START + timedelta(hours=5))
    with_it.until(with_it.engine(), START + timedelta(hours=7))
    assert with_it.fires("s") == [START + timedelta(hours=n) for n in (0, 1, 6, 7)]


def test_expression_and_enabled_come_from_the_environment(make_harness: MakeHarness) -> None:
    def create(text: str) -> SchedulerHarness:
        harness = make_harness(text=text)
        catalog = harness.catalog
        catalog.schedule("t", catalog.tasks["hello"], catalog.settings["every"], enabled=catalog.settings["on"],
                         catch_up="all")  # fmt: skip
        return harness

    off, on = create("on = false\n"), create('every = "rate(2 hours)"\n')
    on.file, on.clock = off.file, off.clock
    harness = off
    engine = harness.engine()
    harness.until(engine, START + timedelta(hours=9))
    assert [name for _, name in engine.next_fires()] == ["s"]
    engine = on.engine()
    tick_until_idle(engine)
    assert harness.fires("t") == [], "a disabled schedule misses nothing"
    harness.until(engine, START + timedelta(hours=12))
    assert harness.fires("t") == [START + timedelta(hours=11)]


def test_it_fires_from_start_to_end_inclusive(make_harness: MakeHarness) -> None:
    harness = make_harness("rate(1 hour)", start=START + timedelta(minutes=90), end=START + timedelta(minutes=210))
    harness.until(harness.engine(), START + timedelta(hours=6))
    assert harness.fires("s") == [START + timedelta(minutes=n) for n in (90, 150, 210)]


def test_an_at_expression_fires_once(make_harness: MakeHarness) -> None:
    harness = make_harness("at(2026-03-01T08:30:00)", timezone="America/New_York")
    harness.until(harness.engine(), START + timedelta(days=3), timedelta(hours=1))
    harness.until(harness.engine(), START + timedelta(days=6), timedelta(hours=1))
    assert len(harness.fires("s")) == 1


def test_a_skipped_workflow_is_logged(make_harness: MakeHarness, caplog: pytest.LogCaptureFixture) -> None:
    harness = make_harness()
    harness.catalog.schedule("w", harness.catalog.workflows["marks"], "cron(0 * * * ? *)")
    harness.until(harness.engine(), START + timedelta(hours=2))
    [skipped, started] = Store(harness.file).starts(StartFilter("schedule:w"))
    assert (started.outcome, skipped.outcome, skipped.id) == ("started", "skipped", started.id)
    assert f"skipped. Execution {started.id} was open and the overlap policy is skip." in caplog.text


@settings(deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["go", "go", "crash", "back"]), st.integers(1, 500)), min_size=1, max_size=25
    ),
    catch_up=st.sampled_from(["skip", "once", "all"]),
)
def test_no_fire_starts_twice_and_none_is_lost_with_catch_up_all(
    make_harness: MakeHarness, steps: list[tuple[str, int]], catch_up: CatchUp
) -> None:
    """Advance the time, kill engines and set the clock back; ``fires`` checks that no start is repeated."""
    harness = make_harness("cron(0/7 * * * ? *)", catch_up=catch_up)
    engine = harness.engine()
    tick_until_idle(engine)
    latest = START
    for event, seconds in steps:
        if event == "crash":
            engine = harness.engine()
        elif event == "back":
            harness.clock.set(max(START, harness.clock.now() - timedelta(seconds=seconds)))
        else:
            harness.clock.set(harness.clock.now() + timedelta(seconds=seconds))
        tick_until_idle(engine)
        latest = max(latest, harness.clock.now())
    fires = harness.fires("s")
    assert len(set(fires)) == len(fires)
    due = [START + n * MINUTE for n in range(0, 60 * 24) if (START + n * MINUTE).minute % 7 == 0]
    expected = [fire for fire in due if START < fire <= latest]
    assert set(fires) <= set(expected)
    if catch_up == "all":
        assert fires == expected


def test_many_due_schedules_are_split_between_ticks(make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick blocks the event loop, so that it must not make a thousand starts."""
    harness = make_harness()
    names = [f"s{n}" for n in range(5)]
    for name in names:
        harness.catalog.schedule(name, harness.catalog.tasks["hello"], "cron(0 13 * * ? *)")
    scheduler = harness.engine()
    tick_until_idle(scheduler)
    harness.clock.set(START + timedelta(hours=1))
    monkeypatch.setattr("nightferry.local.triggers.scheduler._TICK_SECONDS", 0.0)
    ticks = 1
    while scheduler.tick():
        ticks += 1
    assert ticks >= len(names)
    assert [len(harness.fires(name)) for name in names] == [1] * len(names)
