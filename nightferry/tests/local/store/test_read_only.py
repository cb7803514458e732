"""A reader never changes, creates or locks the store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from nightferry.local.store import Store
from nightferry.local.store.file import StoreUnusable
from nightferry.local.store.schema import read_steps
from nightferry.local.store_reader import StoreReader


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a folder?" / "engine.sqlite"


def add_run(store: Store, id: str) -> None:
    store.add_run(id, "hello", [], {})


def test_a_missing_store_is_empty_and_is_not_created(file: Path) -> None:
    reader = StoreReader(file)
    assert not reader.open().runs()
    assert not file.parent.exists()
    add_run(Store(file), "a")
    assert [run.id for run in reader.open().runs()] == ["a"]


def test_a_reader_reads_during_a_write_and_cannot_write(file: Path) -> None:
    writer = Store(file)
    add_run(writer, "a")
    reader = Store.open_read_only(file)
    with writer.transaction():
        add_run(writer, "b")
        assert [run.id for run in reader.runs()] == ["a"]
    assert {run.id for run in reader.runs()} == {"a", "b"}
    with reader.transaction():  # a consistent view, which no writer waits for
        assert len(reader.runs()) == 2
        add_run(writer, "c")
        assert len(reader.runs()) == 2
    for store in (reader, Store.open_read_only(file.with_name("missing.sqlite"))):
        with pytest.raises(sqlite3.OperationalError, match="attempt to write a readonly database"):
            add_run(store, "d")


def test_a_store_of_an_older_version_is_upgraded_first(file: Path) -> None:
    file.parent.mkdir(0o700)
    with sqlite3.connect(file) as db:
        for step in read_steps()[:8]:
            db.executescript(step)
        db.execute("PRAGMA user_version = 8")
    db.close()
    reader = Store.open_read_only(file)
    assert not reader.runs()
    assert reader.run_event("a", "result") is None  # of a later step


def test_a_replaced_store_is_opened_again(file: Path) -> None:
    reader = StoreReader(file)
    add_run(Store(file), "a")
    assert reader.open().run("a") is not None
    file.rename(file.with_name("away"))
    assert reader.open().run("a") is None


def test_a_file_that_is_not_a_store_is_reported(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("This is not a database, but a text that somebody has written into the file.")
    with pytest.raises(StoreUnusable, match=r"Cannot use .*engine.sqlite"):
        Store.open_read_only(file)
