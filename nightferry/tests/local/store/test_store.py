"""Test the store: transactions, durability, upgrades and lookups by ID."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightferry.local.store import StartRecord, Store, StoreTooNew, StoreUnusable, schema
from nightferry.states import HistoryEvent
from tests.cli.terminal import nightferry_process
from tests.local.toy import make_project


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state" / "engine.sqlite")


def event(number: int) -> HistoryEvent:
    time = datetime(2026, 11, 24, 3, 0, number, 123456, UTC)
    return HistoryEvent(number, number - 1, "PassStateEntered", time, {"name": "a", "input": "{}"}, {"scope": "0/1"})


def test_the_file_is_private_and_commits_are_synchronous(store: Store) -> None:
    assert stat.S_IMODE(store.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.file.parent.stat().st_mode) == 0o700
    assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    with store.relaxed_durability():
        assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 1
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_transaction_is_atomic(store: Store) -> None:
    store.add_execution("e", "w", {"StartAt": "a"}, {"n": 1})
    with store.transaction():
        store.add_events("e", 0, [event(1)])

    def second_step() -> None:
        with store.transaction():
            store.add_events("e", 1, [event(2)])
            store.add_events("e", 0, [event(3)])

    with pytest.raises(sqlite3.IntegrityError):
        second_step()
    assert store.events("e") == [event(1)]


def test_a_stopped_run_does_not_change(store: Store) -> None:
    store.add_run("r", "task", ["a", "b c"], {"K": "V"})
    store.mark_run_stopped("r", 3, "EssentialContainerExited", "first")
    store.mark_run_stopped("r", None, "TerminationNotice", "second")
    record = store.run("r")
    assert record is not None
    assert (record.run.exit_code, record.run.reason, record.run.args) == (3, "first", ("a", "b c"))
    assert record.environment == {"K": "V"}
    assert store.open_runs() == []


def test_a_token_creates_one_run(store: Store) -> None:
    store.add_execution("e", "w", {}, None)
    store.add_run("r", "task", [], {}, execution="e", token="t")
    with pytest.raises(sqlite3.IntegrityError):
        store.add_run("again", "task", [], {}, execution="e", token="t")


def test_a_prefix_of_an_id_is_not_a_pattern(store: Store) -> None:
    for id in ("ab", "a%", "a_c", "abc"):
        store.add_run(id, "task", [], {})
    assert sorted(store.find_ids("a")) == ["a%", "a_c", "ab", "abc"]
    assert store.find_ids("a%") == ["a%"]
    assert store.find_ids("a_") == ["a_c"]


def test_lines_are_returned_in_order_after_a_position(store: Store) -> None:
    for id in ("a", "b"):
        store.add_run(id, "task", [], {})
    store.add_lines([("a", "1"), ("b", "2"), ("a", "3\x00 é")])
    first = store.lines(["a"], 0)
    assert [line.text for line in first] == ["1", "3\x00 é"]
    store.add_lines([("a", "4")])
    assert [line.text for line in store.lines(["a", "b"], first[-1].position)] == ["4"]


def test_a_store_of_a_newer_version_is_refused(store: Store) -> None:
    store._db.execute(f"PRAGMA user_version = {len(schema.read_steps()) + 1}")
    store.close()
    with pytest.raises(StoreTooNew, match=r"newer version.*NIGHTFERRY_STATE"):
        Store(store.file)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("version", range(1, len(schema.read_steps())))
def test_an_older_store_is_upgraded_with_its_content(tmp_path: Path, version: int) -> None:
    file = tmp_path / "engine.sqlite"
    with sqlite3.connect(file) as db:
        for step in schema.read_steps()[:version]:
            db.executescript(step)
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(
            "INSERT INTO execution (id, workflow, definition, input, status, started_at)"
            " VALUES ('e', 'w', '{}', 'null', 'RUNNING', '2026-11-24T03:00:00.000000+00:00')"
        )
    db.close()
    assert [execution.id for execution in Store(file).open_executions()] == ["e"]

    def tables(of: Path) -> list[tuple[str, ...]]:
        with sqlite3.connect(of) as db:
            found = db.execute("SELECT m.name, c.name, c.type FROM sqlite_schema m, pragma_table_info(m.name) c")
            return sorted(found)

    Store(tmp_path / "new.sqlite")
    assert tables(file) == tables(tmp_path / "new.sqlite")


def test_a_file_that_is_not_a_store_is_reported(tmp_path: Path) -> None:
    (tmp_path / "engine.sqlite").write_bytes(b"not a store, but a file that is long enough to be read as one" * 100)
    with pytest.raises(StoreUnusable, match=r"Cannot use .*: file is not a database\. .*move engine.sqlite away"):
        Store(tmp_path / "engine.sqlite")


def test_a_start_is_recorded_once(store: Store) -> None:
    due = datetime(2026, 11, 24, 3, tzinfo=UTC)
    start = StartRecord("schedule:s:1", "schedule:s", "task", "t", due, due, "started", "r")
    with store.transaction():
        store.add_run("r", "t", [], {}, token=start.token)
        store.add_start(start)
    assert store.start(start.token) == start
    with pytest.raises(sqlite3.IntegrityError):
        store.add_start(start)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "toy")


def damage(file: Path, table: str) -> None:
    """Overwrite the pages of a table, as a faulty disk does."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as pages:
        pages.seek((page - 1) * size)
        pages.write(b"\xff" * size)


READS: dict[str, Callable[[Store], object]] = {
    "run": lambda store: store.begun_runs(),
    "execution": lambda store: list(store._db.execute("SELECT * FROM execution NOT INDEXED")),
    "log_line": lambda store: store.add_lines([("r", "text")]),
    "event": lambda store: store.events("e"),
    "schedule": lambda store: store.schedules(),
}


@pytest.mark.parametrize("table", READS)
def test_a_damaged_table_is_reported_with_its_file_and_the_fix(tmp_path: Path, table: str) -> None:
    file = tmp_path / "engine.sqlite"
    Store(file).close()
    damage(file, table)
    store = Store(file)
    with pytest.raises(StoreUnusable, match=rf"Cannot use {file}: .*malformed.*move engine\.sqlite away") as raised:
        READS[table](store)
    assert isinstance(raised.value, sqlite3.DatabaseError), "the engine ends with it instead of failing an execution"
    store.close()


def test_a_missing_table_is_reported_as_damage(tmp_path: Path) -> None:
    store = Store(tmp_path / "engine.sqlite")
    with contextlib.closing(sqlite3.connect(store.file)) as db:
        db.execute("DROP TABLE run")
    with pytest.raises(StoreUnusable, match=r"no such table: run\. .*move engine\.sqlite away"):
        store.begun_runs()


def test_the_engine_ends_with_a_code_after_which_the_service_manager_does_not_restart_it(root: Path) -> None:
    Store(root / ".nightferry" / "engine.sqlite").close()
    damage(root / ".nightferry" / "engine.sqlite", "run")
    ended = nightferry_process(root, "up", "--port", "0")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "move engine.sqlite away" in ended.stderr
    unit = (Path(__file__).parents[3] / "docs" / "engine-on-a-server.md").read_text()
    assert f"\nRestartPreventExitStatus={ended.returncode}\n" in unit
