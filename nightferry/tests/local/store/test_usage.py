"""What ended runs used: the measures, the order, the limit and the plan of the query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightferry.contract import LogEvent
from nightferry.local.store import Store
from nightferry.local.store.times import format_time

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "engine.sqlite")
    for n in range(6):
        store.add_run(f"r{n}", "load" if n % 2 else "send", [], {})
        at = START + timedelta(hours=n)
        store._db.execute(
            "UPDATE run SET status = 'STOPPED', exit_code = ?, created_at = ?, started_at = ?, stopped_at = ?"
            " WHERE id = ?",
            (n % 3, format_time(at), format_time(at + timedelta(seconds=5)),
             format_time(at + timedelta(seconds=5 + n)), f"r{n}"),
        )  # fmt: skip
    store.add_run("open", "load", [], {})
    store._db.execute("UPDATE run SET started_at = NULL WHERE id = 'r3'")
    return store


def test_the_measures_of_ended_runs_newest_first(store: Store) -> None:
    store.add_lines([("r5", "one"), ("r5", "zwölf"), ("r4", "x")])
    store.add_lines([("r5", "more")])
    store.add_event("r5", LogEvent.ENDED, {"peak_memory_bytes": 1 << 20, "exit_code": 2})
    store.add_event("r5", LogEvent.RESULT, {"peak_memory_bytes": 7})
    found = store.usage(START)
    assert [one.run for one in found] == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert [one.seconds for one in found] == [5, 4, None, 2, 1, 0]
    assert [one.outcome for one in found[:4]] == ["failed", "failed", "succeeded", "failed"]
    assert [(one.peak_memory, one.log_bytes) for one in found[:3]] == [(1 << 20, 13), (None, 1), (None, None)]


def test_the_task_the_time_and_the_limit(store: Store) -> None:
    assert [one.run for one in store.usage(START, task="load")] == ["r5", "r3", "r1"]
    assert [one.run for one in store.usage(START + timedelta(hours=2), task="load")] == ["r5", "r3"]
    assert [one.run for one in store.usage(START + timedelta(hours=4))] == ["r5", "r4"]
    assert [one.run for one in store.usage(START, limit=2)] == ["r5", "r4"]


@pytest.mark.parametrize("task", [None, "load"])
def test_the_plan_reads_an_index(store: Store, task: str | None) -> None:
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.usage(START, task=task)
    store._db.set_trace_callback(None)
    plan = [str(row[3]) for row in store._db.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
    assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], plan
    assert plan[0].startswith(f"SEARCH run USING INDEX run_by_{'time' if task is None else 'task'} ")
