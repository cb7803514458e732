"""Test retention: old and surplus records are removed in batches; open ones stay."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightferry import Bucket, Catalog, Image
from nightferry.backend.actions import Action, ActionResult
from nightferry.environments.engine_settings import EngineSettings
from nightferry.local.monitoring.retention import Retention
from nightferry.local.monitoring.stored_results import remove_results
from nightferry.local.store import StartRecord, Store, now
from nightferry.local.store.times import format_time
from nightferry.states import HistoryEvent

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
STATES = {"StartAt": "a"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "engine.sqlite")


def add_run(store: Store, id: str, days: float | None, *, lines: int = 2, execution: str | None = None) -> None:
    """Add a run that stopped ``days`` ago, or is open if ``days`` is None."""
    store.add_run(id, "task", [], {}, execution=execution)
    store.add_lines([(id, f"line {n}") for n in range(lines)])
    if days is not None:
        store.mark_run_stopped(id, 0, "EssentialContainerExited", "")
        store._db.execute("UPDATE run SET stopped_at = ? WHERE id = ?", (format_time(NOW - timedelta(days=days)), id))


def add_execution(store: Store, id: str, days: float | None) -> None:
    """Add an execution with a run and a history that ended ``days`` ago, or is open if ``days`` is None."""
    store.add_execution(id, "w", STATES, None)
    store.add_events(id, 0, [HistoryEvent(1, 0, "ExecutionStarted", NOW, {}, {})])
    add_run(store, f"run of {id}", days or 200, execution=id)
    if days is not None:
        store.mark_execution_ended(id, "SUCCEEDED", None, None, None)
        store._db.execute(
            "UPDATE execution SET stopped_at = ? WHERE id = ?", (format_time(NOW - timedelta(days=days)), id)
        )


def prune(store: Store, settings: EngineSettings) -> list[int]:
    """Prune until nothing is left to remove, and return the sizes of the batches."""
    retention = Retention(store, settings, lambda: NOW)
    batches = []
    while batch := retention.prune():
        batches.append(batch)
    return batches


def count(store: Store, table: str) -> int:
    number: int = store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return number


def test_old_records_are_removed_and_open_ones_stay(store: Store) -> None:
    for id, days in (("old", 91), ("middle", 31), ("new", 29), ("open", None)):
        add_run(store, id, days)
        add_execution(store, f"{id} execution", days)
    prune(store, EngineSettings())
    left = {run.id: len(store.lines([run.id], 0)) for run in store.runs(limit=100)}
    assert left == {
        "middle": 0, "new": 2, "open": 2,
        "run of middle execution": 0, "run of new execution": 2,
        "run of open execution": 0,  # its lines are old, but its execution is open
    }  # fmt: skip
    assert [one.id for one in store.executions(limit=100)] == ["open execution", "new execution", "middle execution"]
    assert count(store, "event") == 3
    assert prune(store, EngineSettings()) == []


def test_the_oldest_of_too_many_are_removed(store: Store) -> None:
    for n in range(10):
        add_run(store, f"r{n}", 1)
        add_execution(store, f"e{n}", 1)
    add_run(store, "open", None)
    prune(store, EngineSettings(keep_runs=3, keep_executions=4))
    runs = [run.id for run in store.runs(limit=100) if run.execution is None]
    assert runs == ["open", "r9", "r8", "r7"]
    assert [one.id for one in store.executions(limit=100)] == ["e9", "e8", "e7", "e6"]


def test_pruning_works_in_batches(store: Store) -> None:
    with store.relaxed_durability(), store.transaction():
        add_run(store, "chatty", 100, lines=12_000)
        for n in range(250):
            add_run(store, f"r{n}", 100, lines=0)
    batches = prune(store, EngineSettings())
    assert max(batches) <= 5000
    assert count(store, "run") == count(store, "log_line") == 0


def test_notifications_and_starts_are_removed_by_age(store: Store) -> None:
    store.add_notification("t1", "topic", None, "text", "e")
    for n, days in enumerate((100, 10)):
        time = NOW - timedelta(days=days)
        store.add_start(StartRecord(f"schedule:s:{n}", "schedule:s", "task", "t", time, time, "started", "r"))
    future = now() + timedelta(days=365)  # recorded while the clock was wrong; its token must stay in use
    old = NOW - timedelta(days=100)
    store.add_start(StartRecord("schedule:s:x", "schedule:s", "task", "t", future, old, "started", "r"))
    store._db.execute("UPDATE notification SET time = ?", (format_time(old),))
    prune(store, EngineSettings())
    assert store.notifications() == []
    assert [start.due_at for start in store.starts()] == [NOW - timedelta(days=10), future]


def test_the_record_of_actions_is_kept_longer_than_runs(store: Store) -> None:
    for days in (399, 401):
        store.add_action(Action(str(days), NOW - timedelta(days=days), "anna", "stop", "r", "It hangs.", "cli"))
        store.add_action_result(ActionResult(str(days), NOW, False, "done", ("r",)))
    assert prune(store, EngineSettings(keep_days=1)) == [1]
    assert [action.id for action in store.actions()] == ["399"]


def test_the_file_shrinks_after_pruning(store: Store) -> None:
    add_run(store, "r", 100, lines=0)
    with store.relaxed_durability():
        for _ in range(20):
            store.add_lines([("r", "x" * 10_000)] * 20)
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = store.file.stat().st_size
    prune(store, EngineSettings())
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert store.file.stat().st_size < before / 2
    with sqlite3.connect(store.file) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_results_of_removed_runs_are_removed_and_other_files_stay(store: Store, tmp_path: Path) -> None:
    catalog = Catalog("acme", image=Image("acme"), results=Bucket("files") / "results/of tasks")
    catalog.bucket("files")
    catalog.task("load", command=["load"])
    folder = tmp_path / "files" / "results" / "of tasks" / "load"
    folder.mkdir(parents=True)
    ids = [f"{number:032x}" for number in range(1200)]
    for id in ids:
        (folder / f"{id}.json").write_text("{}")
    others = [folder / "notes.json", folder / "x.json", folder.parent / f"{ids[0]}.json"]
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    for other in others:
        other.write_text("{}")
    (folder / f"{'f' * 32}.json").symlink_to(outside)
    add_run(store, ids[7], 1)
    add_run(store, ids[8], None)
    add_run(store, ids[9], 91)

    def remove() -> int:
        return remove_results(store, catalog, lambda name: tmp_path / name)

    assert remove() == 1197
    prune(store, EngineSettings())
    assert remove() == 1
    assert {path.stem for path in folder.glob("0*.json")} == {ids[7], ids[8]}
    assert all(other.exists() for other in [*others, outside])
    assert remove_results(store, Catalog("none", image=Image("none")), lambda name: tmp_path / name) == 0


def test_results_that_cannot_be_removed_are_reported(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> int:
        raise PermissionError(13, "Permission denied", "x.json")

    with caplog.at_level("WARNING", "nightferry.engine"):
        assert Retention(store, EngineSettings(), remove_results=fail).remove_results() == 0
    assert caplog.messages == ["Results of removed runs remain: [Errno 13] Permission denied: 'x.json'."]
