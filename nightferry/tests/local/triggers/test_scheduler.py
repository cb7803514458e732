"""The scheduler in virtual time: each fire once, in its zone, whatever happens to the engine or to its clock."""

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
    """A clock that shows what it is told; it may go back."""

    def __init__(self, time: datetime) -> None:
        self._time = time

    def now(self) -> datetime:
        return self._time

    def tell(self, time: datetime) -> None:
        self._time = time


@dataclass
class World:
    """A state directory, a catalog, and a clock that is told the time. Engines come and go in it."""

    file: Path
    catalog: Catalog
    environment: Environment
    clock: FakeClock

    def engine(self) -> Scheduler:
        """What a new engine has: it knows of earlier ones only what the store holds."""
        store = Store(self.file)
        starter = Starter(store, self.catalog, lambda value: substitute(value, lambda one: one.name))
        return Scheduler(store, starter, self.catalog, self.environment, self.clock.now)

    def fires(self, name: str) -> list[datetime]:
        """The times for which a schedule started something, in order; nothing was started twice for one."""
        starts = Store(self.file).starts(f"schedule:{name}", outcome="started", limit=10**6)
        runs = Store(self.file).runs(None, None, 10**6)
        ours = [run for run in runs if run.started_by == f"schedule:{name}"]
        assert sorted(run.id for run in ours) == sorted(start.id or "" for start in starts)
        return sorted(start.due_at for start in starts)

    def until(self, scheduler: Scheduler, end: datetime, step: timedelta = MINUTE) -> None:
        """Let time go by in steps."""
        settle(scheduler)
        while self.clock.now() < end:
            self.clock.tell(min(end, self.clock.now() + step))
            settle(scheduler)


def settle(scheduler: Scheduler) -> None:
    """Look as often as there is something to do."""
    while scheduler.tick():
        pass


MakeWorld = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path) -> MakeWorld:
    def make(expression: str = "rate(5 minutes)", text: str = "", **more: object) -> World:
        project = Project.find(make_project(tmp_path / f"project{len(list(tmp_path.iterdir()))}"))
        catalog = project.catalog
        catalog.setting("every", default="rate(1 day)")
        catalog.setting("on", default=True)
        catalog.schedule("s", catalog.tasks["hello"], expression, **more)  # type: ignore[arg-type]
        file = Path("environments/local.toml")
        environment = parse("local", 'backend = "local"\n[settings]\ncolor = "blue"\n' + text, catalog, file)
        return World(project.state / "engine.sqlite", catalog, environment, FakeClock(START))

    return make


def test_a_rate_is_counted_from_when_the_engine_first_saw_the_schedule(world: MakeWorld) -> None:
    here = world("rate(1 hour)")
    here.clock.tell(START + timedelta(minutes=17))
    engine = here.engine()
    settle(engine)
    assert engine.next_fires() == [(START + timedelta(minutes=77), "s")]
    here.until(engine, START + timedelta(minutes=100))
    here.until(here.engine(), START + timedelta(minutes=200))  # another engine, which knows
    assert here.fires("s") == [START + timedelta(minutes=n) for n in (77, 137, 197)]


def test_days_of_cron_in_a_zone_whose_clocks_change(world: MakeWorld) -> None:
    here = world("cron(30 2 * * ? *)", timezone="America/New_York")
    here.until(here.engine(), START + timedelta(days=300), timedelta(hours=1))
    days = {fire.astimezone(NEW_YORK).date() for fire in here.fires("s")}
    all_days = {(START + timedelta(days=n)).date() for n in range(1, 301)}
    assert days == all_days - {datetime(2026, 3, 8).date()}, "half past two does not exist on 8 March"
    assert len(here.fires("s")) == len(days)
    assert {fire.astimezone(NEW_YORK).time().isoformat() for fire in here.fires("s")} == {"02:30:00"}


@pytest.mark.parametrize(
    ("catch_up", "minutes", "missed"),
    [
        ("skip", [5, 10, 45], ["6 missed since 2026-03-01 12:15:00 UTC; not started because of catch_up = skip."]),
        ("once", [5, 10, 40, 45], []),
        ("all", [5, 10, 15, 20, 25, 30, 35, 40, 45], []),
    ],
)
def test_what_was_missed_is_reported_and_made_good_as_declared(
    world: MakeWorld, catch_up: CatchUp, minutes: list[int], missed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    here = world(catch_up=catch_up)
    here.until(here.engine(), START + 11 * MINUTE)
    here.clock.tell(START + 45 * MINUTE + timedelta(seconds=59))  # down for half an hour; the last one is in time
    with caplog.at_level(logging.INFO, "nightferry.engine"):
        settle(here.engine())
    fires = [START + minute * MINUTE for minute in minutes]
    if catch_up == "once":
        assert "6 missed since 2026-03-01 12:15:00 UTC; one start for all of them." in caplog.text
    assert here.fires("s") == fires
    assert [start.note for start in Store(here.file).starts(outcome="missed")] == missed
    settle(here.engine())
    assert here.fires("s") == fires


def test_a_month_of_missed_minutes_is_caught_up_whole(world: MakeWorld) -> None:
    here = world("rate(1 minute)", catch_up="all")
    settle(here.engine())
    here.clock.tell(START + timedelta(days=1))
    engine = here.engine()
    engine.tick()
    assert len(here.fires("s")) == 100, "not all in one transaction: others want to write, too"
    settle(engine)
    assert here.fires("s") == [START + n * MINUTE for n in range(1, 1441)]


def test_ten_years_of_missed_minutes_cost_no_time(world: MakeWorld) -> None:
    here = world("cron(* * * * ? *)", catch_up="once")
    settle(here.engine())
    here.clock.tell(START + timedelta(days=3650) + timedelta(seconds=30))
    settle(here.engine())
    [missed, last] = reversed(Store(here.file).starts())
    assert missed.note == "More than 1000 missed since 2026-03-01 12:01:00 UTC; one start for all of them."
    assert (missed.due_at, last.due_at) == (START + timedelta(days=3650) - MINUTE, START + timedelta(days=3650))


def test_when_the_clock_goes_back_nothing_fires_twice(world: MakeWorld, caplog: pytest.LogCaptureFixture) -> None:
    here = world()
    engine = here.engine()
    here.until(engine, START + 31 * MINUTE)
    here.clock.tell(START + 3 * MINUTE)
    settle(engine)
    assert "The clock went back by 0:28:00" in caplog.text
    here.until(engine, START + 41 * MINUTE)
    assert here.fires("s") == [START + n * MINUTE for n in range(5, 45, 5)]


def test_a_clock_that_was_wrong_for_a_moment_silences_nothing(world: MakeWorld) -> None:
    here = world("cron(0/5 * * * ? *)", catch_up="skip")
    engine = here.engine()
    here.until(engine, START + 6 * MINUTE)
    here.clock.tell(START + timedelta(days=50_000))
    settle(engine)
    here.clock.tell(START + 7 * MINUTE)
    settle(engine)
    here.until(engine, START + 16 * MINUTE)
    assert here.fires("s")[:3] == [START + n * MINUTE for n in (5, 10, 15)]


def test_a_changed_expression_takes_effect_and_fires_nothing_of_the_past(world: MakeWorld) -> None:
    here = world("rate(1 hour)", catch_up="all")
    settle(here.engine())
    changed = world("rate(10 minutes)", catch_up="all")
    changed.file, changed.clock = here.file, here.clock
    here.clock.tell(START + timedelta(hours=5))
    engine = changed.engine()
    settle(engine)
    assert here.fires("s") == []
    assert engine.next_fires() == [(START + timedelta(hours=5, minutes=10), "s")]


def test_expression_and_switch_are_the_environments(world: MakeWorld) -> None:
    def make(text: str) -> World:
        here = world(text=text)
        catalog = here.catalog
        catalog.schedule("t", catalog.tasks["hello"], catalog.settings["every"], enabled=catalog.settings["on"],
                         catch_up="all")  # fmt: skip
        return here

    off, on = make("on = false\n"), make('every = "rate(2 hours)"\n')
    on.file, on.clock = off.file, off.clock
    here = off
    engine = here.engine()
    here.until(engine, START + timedelta(hours=9))
    assert [name for _, name in engine.next_fires()] == ["s"]
    engine = on.engine()
    settle(engine)
    assert here.fires("t") == [], "while it was off, nothing was missed"
    here.until(engine, START + timedelta(hours=12))
    assert here.fires("t") == [START + timedelta(hours=11)]


def test_it_fires_from_its_start_until_its_end_both_included(world: MakeWorld) -> None:
    here = world("rate(1 hour)", start=START + timedelta(minutes=90), end=START + timedelta(minutes=210))
    here.until(here.engine(), START + timedelta(hours=6))
    assert here.fires("s") == [START + timedelta(minutes=n) for n in (90, 150, 210)]


def test_once_at_a_time(world: MakeWorld) -> None:
    here = world("at(2026-03-01T08:30:00)", timezone="America/New_York")
    here.until(here.engine(), START + timedelta(days=3), timedelta(hours=1))
    here.until(here.engine(), START + timedelta(days=6), timedelta(hours=1))
    assert len(here.fires("s")) == 1


def test_a_workflow_that_is_open_is_skipped_and_that_is_said(
    world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    here = world()
    here.catalog.schedule("w", here.catalog.workflows["marks"], "rate(1 hour)")
    here.until(here.engine(), START + timedelta(hours=2))
    [skipped, started] = Store(here.file).starts("schedule:w")
    assert (started.outcome, skipped.outcome, skipped.id) == ("started", "skipped", started.id)
    assert f"skipped. Execution {started.id} was open and the overlap policy is skip." in caplog.text


@settings(deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["go", "go", "crash", "back"]), st.integers(1, 500)), min_size=1, max_size=25
    ),
    catch_up=st.sampled_from(["skip", "once", "all"]),
)
def test_whatever_happens_no_fire_starts_twice_and_with_all_none_is_lost(
    world: MakeWorld, steps: list[tuple[str, int]], catch_up: CatchUp
) -> None:
    """Time goes by, engines are killed, the clock goes back: ``fires`` asserts that no start is doubled."""
    here = world("cron(0/7 * * * ? *)", catch_up=catch_up)
    engine = here.engine()
    settle(engine)
    latest = START
    for what, seconds in steps:
        if what == "crash":
            engine = here.engine()
        elif what == "back":
            here.clock.tell(max(START, here.clock.now() - timedelta(seconds=seconds)))
        else:
            here.clock.tell(here.clock.now() + timedelta(seconds=seconds))
        settle(engine)
        latest = max(latest, here.clock.now())
    fires = here.fires("s")
    assert len(set(fires)) == len(fires)
    due = [START + n * MINUTE for n in range(0, 60 * 24) if (START + n * MINUTE).minute % 7 == 0]
    expected = [fire for fire in due if START < fire <= latest]
    assert set(fires) <= set(expected)
    if catch_up == "all":
        assert fires == expected
