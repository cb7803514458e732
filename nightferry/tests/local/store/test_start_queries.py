"""Test queries of starts and of the objects known to a trigger: pages, filters, counts and plans."""

from __future__ import annotations

import itertools
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightferry.backend.queries import Count, Cursor
from nightferry.backend.starts import START_OUTCOMES, SeenObject, Start, StartFilter
from nightferry.local.store import FileFingerprint, Filter, KnownObject, StartRecord, Store
from nightferry.local.store.schema import read_steps

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
SOURCES = ("schedule:a", "schedule:b", "backfill:a", "trigger:t")


def add_start(store: Store, number: int, numbers: random.Random) -> None:
    source, decided = numbers.choice(SOURCES), BEGIN + timedelta(minutes=number // 3)
    token = f"{source}:in/{number}:x.csv:v{number}"
    due = decided - timedelta(minutes=numbers.randrange(90))
    outcome = numbers.choice(START_OUTCOMES)
    store.add_start(StartRecord(token, source, "task", "x", due, decided, outcome, f"r{number}", f"note {number}"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store of 120 starts, three at each time."""
    store, numbers = Store(tmp_path / "engine.sqlite"), random.Random(7)
    with store.transaction():
        for number in range(120):
            add_start(store, number, numbers)
    return store


FILTERS = [
    StartFilter(source, outcome, since, until)
    for source, outcome, since, until in itertools.product(
        (None, "schedule:a", "trigger:t", "schedule:none"),
        (None, *START_OUTCOMES),
        (None, BEGIN + timedelta(minutes=10)),
        (None, BEGIN + timedelta(minutes=30)),
    )
]


def list_one_by_one(store: Store, wanted: StartFilter) -> list[str]:
    """Return the IDs of the starts of a filter; read from the rows without SQL's conditions."""
    found = []
    for row in store._db.execute("SELECT rowid, * FROM start"):
        time = datetime.fromisoformat(row["decided_at"])
        if (
            wanted.source in {None, row["source"].replace("backfill:", "schedule:")}
            and wanted.outcome in {None, row["outcome"]}
            and (wanted.since is None or time >= wanted.since)
            and (wanted.until is None or time < wanted.until)
        ):
            found.append((time, row["rowid"], row["id"]))
    return [id for _, _, id in sorted(found, reverse=True)]


def list_in_pages(store: Store, wanted: StartFilter, limit: int) -> list[Start]:
    found: list[Start] = []
    before = None
    while True:
        page = store.starts(wanted, before=before, limit=limit)
        found += page
        if page.next is None:
            return found
        assert len(page) == limit
        before = Cursor.parse(str(page.next))


def test_pages_have_every_start_of_a_filter_once_and_in_order(store: Store) -> None:
    matched = 0
    for wanted in FILTERS:
        expected = list_one_by_one(store, wanted)
        for limit in (2, 7, 500):
            assert [start.id for start in list_in_pages(store, wanted, limit)] == expected, wanted
        assert store.count_starts(wanted) == Count(len(expected), complete=True)
        if len(expected) > 2:
            assert store.count_starts(wanted, limit=2) == Count(2, complete=False)
        matched += bool(expected)
    assert matched > 30


def test_a_backfill_is_a_start_of_its_schedule_and_a_trigger_has_its_object(store: Store) -> None:
    starts = store.starts(limit=500)
    assert {start.source for start in starts} == {"schedule:a", "schedule:b", "trigger:t"}
    assert any(start.by_backfill for start in starts)
    for start in starts:
        number = str(start.id).removeprefix("r")
        assert start.object == (f"in/{number}:x.csv" if start.source == "trigger:t" else None)
        assert not start.by_backfill or start.source == "schedule:a"
        assert start.note == f"note {number}"


def test_a_started_one_has_the_result_of_its_run_or_execution(store: Store) -> None:
    by_id = {start.id: start for start in store.starts(limit=500)}
    started = [id for id, start in by_id.items() if start.outcome == "started" and id is not None]
    skipped = next(id for id, start in by_id.items() if start.outcome == "skipped" and id is not None)
    store.add_run(started[0], "x", [], {})
    store.add_execution(started[1], "w", {}, {})
    store._db.execute("UPDATE execution SET status = 'FAILED'")
    store.add_run(skipped, "x", [], {})
    results = {start.id: start.result for start in store.starts(limit=500)}
    assert [results[id] for id in (started[0], started[1], started[2], skipped)] == ["open", "failed", None, None]


def test_new_starts_do_not_shift_the_next_page(store: Store) -> None:
    expected = list_one_by_one(store, StartFilter())
    first = store.starts(limit=10)
    store.add_start(StartRecord("new", "schedule:a", "task", "x", BEGIN, datetime.now(UTC), "started", "new"))
    second = store.starts(before=first.next, limit=10)
    assert [start.id for start in (*first, *second)] == expected[:20]


def see_objects(store: Store, files: dict[str, int], trigger: str = "t") -> None:
    store.save_object_trigger(trigger, Filter("inbox", "", ""))
    store.save_objects(
        trigger,
        (
            (key, KnownObject(FileFingerprint(time, len(key), 0, 0), f"v{len(key)}" if "new" in key else None))
            for key, time in files.items()
        ),
    )


def list_objects(store: Store, trigger: str, limit: int) -> list[SeenObject]:
    found: list[SeenObject] = []
    before = None
    while True:
        page = store.seen_objects(trigger, before=before, limit=limit)
        found += page
        if page.next is None:
            return found
        assert all(seen.key not in str(page.next) for seen in page)
        before = Cursor.parse(str(page.next))


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_objects_are_listed_once_the_last_modified_first(store: Store, limit: int) -> None:
    nanoseconds = 1_790_000_000 * 10**9
    files = {f"in/{n}.csv": nanoseconds + n // 4 * 1000 for n in range(11)}
    files |= {"in/later": nanoseconds + 999, "in/past.csv": -5, "in/far.csv": 2**62, "in/farther.csv": 2**63 - 1}
    see_objects(store, files)
    see_objects(store, {"in/of-another.csv": nanoseconds}, "u")
    found = list_objects(store, "t", limit)
    assert sorted(seen.key for seen in found) == sorted(files)
    assert [seen.modified_at for seen in found] == sorted((seen.modified_at for seen in found), reverse=True)
    assert (found[-1].key, found[-1].modified_at.year) == ("in/past.csv", 1970)


def test_an_object_has_the_start_of_its_version(store: Store) -> None:
    see_objects(store, {"in/new:1.csv": 10**18, "in/new:2.csv": 10**18, "in/old.csv": 10**18})
    for n in (1, 2):
        token = f"trigger:t:in/new:{n}.csv:v12"
        store.add_start(StartRecord(token, "trigger:t", "task", "x", BEGIN, BEGIN, "started", f"run {n}"))
    store.mark_objects_gone("t", ["in/old.csv"])
    by_key = {seen.key: seen for seen in store.seen_objects("t")}
    for n in (1, 2):
        seen = by_key[f"in/new:{n}.csv"]
        assert seen.start is not None
        assert (seen.start.id, seen.start.object, seen.existed_before) == (f"run {n}", seen.key, False)
    old = by_key["in/old.csv"]
    assert (old.start, old.existed_before) == (None, True)
    assert old.gone_at is not None


def test_no_query_reads_a_whole_table(store: Store) -> None:
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    for wanted in FILTERS:
        store.starts(wanted, before=Cursor(BEGIN + timedelta(days=1), "7"))
        store.starts(wanted)
        store.count_starts(wanted)
    see_objects(store, {"in/new.csv": 10**18})
    store.seen_objects("t")
    store.seen_objects("t", before=Cursor(BEGIN, "3"))
    store._db.set_trace_callback(None)
    plans = {one: explain(store, one) for one in set(statements) if one.startswith("SELECT")}
    assert len(plans) > 100
    for statement, plan in plans.items():
        tables = [step for step in plan if step.startswith(("SEARCH", "SCAN"))]
        assert tables, statement
        assert all(step.startswith(("SEARCH", "SCAN (subquery")) for step in tables), (statement, plan)
        assert not any("TEMP B-TREE" in step for step in plan), (statement, plan)


def explain(store: Store, statement: str) -> list[str]:
    return [row["detail"] for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}")]


def test_starts_and_objects_of_an_older_store_are_found(tmp_path: Path) -> None:
    """The columns and indexes apply to rows from before the step that adds them."""
    file = tmp_path / "engine.sqlite"
    Store(file).close()
    file.unlink()
    db = sqlite3.connect(file)
    number = next(n for n, step in enumerate(read_steps()) if "start_by_declaration" in step)
    for step in read_steps()[:number]:
        db.executescript(step)
    db.execute(f"PRAGMA user_version = {number}")
    time = "2026-11-01T00:00:00.000000+00:00"
    db.execute("INSERT INTO start VALUES ('a', 'backfill:s', 'task', 'x', ?, ?, 'started', 'r', NULL)", (time, time))
    db.execute("INSERT INTO object_trigger VALUES ('t', 'b', '', '', ?)", (time,))
    db.execute("INSERT INTO known_object VALUES ('t', 'k', 2000, 1, 0, 0, NULL, NULL)")
    db.commit()
    db.close()
    store = Store(file)
    (start,) = store.starts(StartFilter("schedule:s", "started"))
    assert (start.id, start.by_backfill) == ("r", True)
    (seen,) = store.seen_objects("t")
    assert seen.modified_at == datetime(1970, 1, 1, 0, 0, 0, 2, tzinfo=UTC)
