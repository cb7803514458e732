"""The pages of schedules and triggers: what was started, skipped, missed and is late, and the simulation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from nightferry.dashboard.site import Site
from nightferry.dashboard.svg.lanes import WIDTH, Calendar
from nightferry.local.store import FileFingerprint, Filter, KnownObject, ScheduleRecord, StartRecord, Store
from nightferry.testing import FakeClock
from tests.dashboard.dashboards import check_html, make_client, make_site
from tests.module_names import module_name

CATALOG = """
from datetime import timedelta
from pydantic import BaseModel
from nightferry import Catalog, Image
from nightferry.states.builder import RunTask, Steps

class Settings(BaseModel):
    "Nothing."
    count: int = 1

catalog = Catalog("planned", image=Image("planned"))
leases = catalog.bucket("leases")
inbox = catalog.bucket("inbox")
catalog.leases = leases / "leases"
load = catalog.task("load", config=Settings, command=["true"], overlap="skip", expected=timedelta(minutes=40))
sweep = catalog.task("sweep", command=["sweep"], config=Settings, overlap="queue", time_limit=timedelta(minutes=30))
chain = catalog.workflow("chain", Steps(RunTask(sweep), RunTask(load)))
zone = "America/New_York"
catalog.schedule("nightly", chain, "cron(30 2 * * ? *)", timezone=zone)
catalog.schedule("load-again", load, "cron(15 3 ? * MON-FRI *)", timezone=zone)
catalog.schedule("often", sweep, "rate(20 minutes)")
catalog.schedule("asleep", load, "cron(0 12 * * ? *)", enabled=catalog.setting("awake", default=False))
catalog.object_trigger("arrival", load, bucket=inbox, prefix="in/", suffix=".csv")
catalog.object_trigger("other", load, bucket=inbox, prefix="other/")
"""

NOW = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)  # the clocks of New York change on the 8th
HOSTILE = "in/<script>alert(1)</script>\x1b[31m 123-45-6789.csv"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "a project"
    module = module_name("planned", root)
    (root / "environments").mkdir(parents=True)
    (root / "environments" / "local.toml").write_text('backend = "local"\n')
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(CATALOG)
    return root


@pytest.fixture
def store(root: Path) -> Store:
    (root / ".nightferry").mkdir(mode=0o700)
    return Store(root / ".nightferry" / "engine.sqlite")


@pytest.fixture
def site(root: Path, store: Store) -> Site:
    return make_site(root, clock=FakeClock(NOW))


@pytest.fixture
def client(site: Site) -> httpx.Client:
    return make_client(site)


def record(store: Store, number: int, outcome: str, id: str | None = None, source: str = "schedule:nightly") -> None:
    due = NOW - timedelta(days=number, hours=4, minutes=30)
    kind = "task" if source.startswith("trigger") else "workflow"
    token = f"{source}:{number}" if kind == "workflow" else f"{source}:{HOSTILE}:v{number}"
    target, note = ("load" if kind == "task" else "chain"), f"note <b>{number}</b>"
    store.add_start(StartRecord(token, source, kind, target, due, due, outcome, id, note))  # type: ignore[arg-type]


def read_text(page: object) -> str:
    return " ".join(page.text_content().split())  # type: ignore[attr-defined]


def test_schedules_are_shown_in_words_with_their_next_fires_and_last_starts(client: httpx.Client, store: Store) -> None:
    store.add_execution("chain-1", "chain", {}, {})
    store._db.execute("UPDATE execution SET status = 'FAILED'")
    record(store, 1, "started", "chain-1")
    record(store, 2, "missed")
    record(store, 3, "skipped", "chain-0")
    record(store, 9, "missed")
    page = check_html(client.get("/local/schedules"))
    rows = {row.xpath("string(.//a)"): row for row in page.xpath("//div[@id='schedules']//tbody/tr")}
    assert set(rows) == {"nightly", "load-again", "often", "asleep"}
    nightly = read_text(rows["nightly"])
    assert "every day at 02:30 America/New_York" in nightly
    assert "2026-03-06 02:30:00 EST" in nightly
    assert "2026-03-06 07:30:00 UTC" in nightly
    assert "clock change Sun 2026-03-08 02:30" in nightly
    assert "✕ failed" in nightly
    assert "1 missed" in nightly
    assert "1 skipped" in nightly
    links = rows["nightly"].xpath(".//@href")
    assert "/local/executions/chain-1" in links
    assert "/local/schedules/nightly/catch-up" in links
    assert "/local/workflows/chain" in links
    assert "disabled by the setting awake of local" in read_text(rows["asleep"])
    assert "the rate counts from the creation" in read_text(rows["often"])
    one = check_html(client.get("/local/schedules/nightly"))
    assert "2026-03-08 02:30 skipped: clocks go forward" in read_text(one)


def test_each_count_is_the_number_of_rows_that_it_links_to(client: httpx.Client, store: Store) -> None:
    for number, outcome in enumerate(["missed", "skipped", "missed", "started", "missed", "missed"]):
        record(store, 2 * number, outcome)
    page = check_html(client.get("/local/schedules"))
    (link,) = page.xpath("//a[contains(@href, 'outcome=missed')]")
    linked = check_html(client.get(link.get("href")))
    assert read_text(link) == "✕ 2 missed"
    assert len(linked.xpath("//div[@id='starts']//tbody/tr")) == 2
    assert read_text(linked.xpath("//p[@class='count']")[0]) == "2 starts"


def test_lanes_show_overlaps_and_clock_changes(client: httpx.Client) -> None:
    page = check_html(client.get("/local/schedules", params={"from": "2026-03-06", "days": 10}))
    lanes = page.xpath("//*[local-name()='svg' and @class='lane']")
    assert [lane.get("aria-label").partition(":")[0] for lane in lanes] == ["chain", "load", "sweep"]
    assert len(page.xpath("//div[@class='lane-days']/span")) == 10
    text = read_text(page)
    assert "nightly runs a task at the same time as load" in text
    assert "nightly: Sun 2026-03-08 02:30, skipped: no start" in text
    assert page.xpath("//*[local-name()='path' and @class='overlaps']")
    assert not check_html(client.get("/local/schedules?from=2026-03-01&days=1")).xpath("//h3[.='Clock changes']")
    data = client.get("/local/schedules.json", params={"from": "2026-03-06", "days": 10}).json()
    assert data["simulation"]["clock_changes"][0]["change"] == "skipped"
    assert len(data["schedules"]) == 4


@pytest.mark.parametrize("query", ["days=0", "days=32", "days=x", "from=tomorrow"])
def test_a_bad_period_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/local/schedules?{query}").status_code == 400


def test_undecided_fires_are_late(client: httpx.Client, store: Store) -> None:
    store.save_schedule(ScheduleRecord("nightly", "", True, NOW - timedelta(days=9), NOW - timedelta(days=2)))
    store.save_schedule(ScheduleRecord("often", "", True, NOW - timedelta(hours=1), NOW - timedelta(minutes=1)))
    store.save_schedule(ScheduleRecord("asleep", "", True, NOW - timedelta(days=9), NOW - timedelta(days=9)))
    page = check_html(client.get("/local/schedules"))
    (late,) = page.xpath("//p[contains(@class, 'late')]")
    assert read_text(late).startswith("▲ late nightly was due 2 times since 2026-03-04 07:30:00 UTC.")
    one = check_html(client.get("/local/schedules/nightly"))
    assert "2 fires since 2026-03-04 07:30:00 UTC have no start." in read_text(one)
    assert "2026-03-05 12:20:00 UTC" in read_text(check_html(client.get("/local/schedules/often")))


def test_the_history_of_a_schedule_is_filtered_and_paged(client: httpx.Client, store: Store) -> None:
    for number in range(60):
        record(store, number, ("started", "missed", "skipped")[number % 3], f"chain-{number}")
    record(store, 1, "started", "by-backfill", "backfill:nightly")
    first = check_html(client.get("/local/schedules/nightly"))
    assert len(first.xpath("//div[@id='starts']//tbody/tr")) == 50
    (older,) = first.xpath("//a[@rel='next']/@href")
    assert len(check_html(client.get(older)).xpath("//div[@id='starts']//tbody/tr")) == 11
    missed = client.get("/local/schedules/nightly?outcome=missed")
    assert len(check_html(missed).xpath("//tr[@class='missed']")) == 20
    assert "<b>1</b>" not in missed.text
    assert "by a backfill" in read_text(first)
    assert "start the target once, for the last one (catch_up = once)" in read_text(first)
    data = client.get("/local/schedules/nightly.json?outcome=skipped").json()
    assert {start["outcome"] for start in data["starts"]} == {"skipped"}
    assert client.get("/local/schedules/none").status_code == 404
    assert client.get("/local/schedules/nightly?outcome=late").status_code == 400


def test_triggers_show_objects_and_decisions_without_personal_data(client: httpx.Client, store: Store) -> None:
    store.add_run("0123456789ab", "load", [], {})
    record(store, 0, "started", "0123456789ab", "trigger:arrival")
    store.save_object_trigger("arrival", Filter("inbox", "in/", ".csv"))
    times = (FileFingerprint(10**18 + n, 1234, 0, 0) for n in range(3))
    keys = (HOSTILE, "v0"), ("in/old.csv", None), ("in/same.csv", "v7")
    objects = [(key, KnownObject(time, version)) for time, (key, version) in zip(times, keys, strict=True)]
    store.save_objects("arrival", objects)
    store.mark_objects_gone("arrival", ["in/same.csv"])
    listed = client.get("/local/triggers")
    rows = {row.xpath("string(.//a)"): read_text(row) for row in check_html(listed).xpath("//tbody/tr")}
    assert set(rows) == {"arrival", "other"}
    assert "inbox in/*.csv" in rows["arrival"]
    assert "none in 35 days" in rows["other"]
    assert "The engine on this machine has no dead-letter queues" in read_text(check_html(listed))
    shown = client.get("/local/triggers/arrival")
    by_key = {
        row.xpath("string(.//code)"): read_text(row)
        for row in check_html(shown).xpath("//div[@id='objects']//tbody/tr")
    }
    assert len(by_key) == 3
    assert "known before" in by_key["in/old.csv"]
    assert "gone since" in by_key["in/same.csv"]
    (hostile,) = by_key.keys() - {"in/old.csv", "in/same.csv"}
    assert "started" in by_key[hostile]
    data = client.get("/local/triggers/arrival.json")
    assert data.json()["starts"][0]["id"] == "0123456789ab"
    for response in (listed, shown, data, client.get("/local/triggers.json")):
        assert "<script>alert" not in response.text or response is data or "json" in response.headers["content-type"]
        assert "\x1b" not in response.text
    assert client.get("/local/triggers/none").status_code == 404


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "UTC", "Australia/Lord_Howe"])
def test_days_of_a_picture_begin_at_midnight_and_have_the_same_width(zone: str) -> None:
    """The clocks change in these days, so that a day has up to 25 hours."""
    for since in (datetime(2026, 3, 1, 5, tzinfo=UTC), datetime(2026, 10, 20, 5, tzinfo=UTC)):
        calendar = Calendar.make(since, 31, ZoneInfo(zone))
        assert all((day.hour, day.minute) == (0, 0) for day in calendar.midnights)
        assert [round(calendar.find_x(day), 6) for day in calendar.midnights] == [
            round(n * WIDTH / 31, 6) for n in range(32)
        ]
        hours = [calendar.begin.astimezone(UTC) + timedelta(hours=n) for n in range(31 * 24)]
        places = [calendar.find_x(hour) for hour in hours]
        assert places == sorted(places)
        assert calendar.find_x(calendar.begin - timedelta(days=3)) == 0
        assert calendar.find_x(calendar.end + timedelta(days=3)) == WIDTH


def test_schedules_that_start_very_often_are_simulated_for_fewer_days(root: Path, store: Store, site: Site) -> None:
    catalog = site.catalog
    for number in range(3):
        catalog.schedule(f"minutely-{number}", catalog.tasks["load"], "cron(* * * * ? *)")
    response = make_client(site).get("/local/schedules?days=31")
    page = check_html(response)
    assert len(page.xpath("//div[@class='lane-days']/span")) == 1
    assert "only 1 day is simulated here" in read_text(page)
    assert len(response.content) < 100_000
