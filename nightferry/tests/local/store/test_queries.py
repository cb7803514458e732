"""Test queries of the store: pages, filters, counts and the plans of their statements."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.queries import (
    OUTCOMES,
    Count,
    Cursor,
    ExecutionFilter,
    Outcome,
    Page,
    RunFilter,
    judge_execution,
    judge_run,
)
from nightferry.backend.reports import Report, ReportFilter, matches_report
from nightferry.backend.runs import TaskRun
from nightferry.contract import LogEvent
from nightferry.local.store import Store, queries
from nightferry.local.store.times import format_time
from nightferry.states.machine.history import HistoryEvent

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store of 300 runs and 60 executions, several at the same time, of every outcome."""
    store = Store(tmp_path / "engine.sqlite")
    numbers = random.Random(7)
    executions = [f"e{n:02}" for n in range(60)]
    with store.transaction():
        for n, id in enumerate(executions):
            add_execution(store, id, numbers, START + timedelta(minutes=n // 3))
        for n in range(300):
            add_run(store, f"{numbers.getrandbits(64):016x}", numbers, START + timedelta(minutes=n // 4), executions)
    return store


def add_execution(store: Store, id: str, numbers: random.Random, time: datetime) -> None:
    statuses = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    store._db.execute(
        "INSERT INTO execution (id, workflow, definition, input, status, started_at) VALUES (?, ?, '{}', ?, ?, ?)",
        (id, numbers.choice("vw"), json.dumps({"key": f"in/{id}.csv"}), numbers.choice(statuses), format_time(time)),
    )


def add_run(store: Store, id: str, numbers: random.Random, time: datetime, executions: list[str]) -> None:
    status, exit_code, stop_code = numbers.choice(
        [("RUNNING", None, None), ("STOPPED", 0, "x"), ("STOPPED", 1, "x"), ("STOPPED", None, "UserInitiated")]
    )
    store._db.execute(
        "INSERT INTO run (id, task, status, command, environment, started_by, execution, created_at, exit_code,"
        " stop_code, reason) VALUES (?, ?, ?, '[]', ?, 'me', ?, ?, ?, ?, ?)",
        (id, numbers.choice("abc"), status, json.dumps({"S3_KEY": f"In/{id}.csv"}),
         numbers.choice([None, *executions[:3]]), format_time(time), exit_code, stop_code,
         numbers.choice([None, "Out of memory", "exit code 1"])),
    )  # fmt: skip


RUN_FILTERS = [
    RunFilter(task, execution, outcome, since, until, text)
    for task, execution, outcome, since, until, text in itertools.product(
        (None, "a"),
        (None, "e01"),
        (None, *OUTCOMES),
        (None, START + timedelta(minutes=20)),
        (None, START + timedelta(minutes=50)),
        ("", "OUT OF"),
    )
]
EXECUTION_FILTERS = [
    ExecutionFilter(workflow, outcome, since, until, text)
    for workflow, outcome, since, until, text in itertools.product(
        (None, "v"),
        (None, *OUTCOMES),
        (None, START + timedelta(minutes=5)),
        (None, START + timedelta(minutes=15)),
        ("", "E1"),
    )
]


REPORT_FILTERS = [
    ReportFilter(kind, subject, run, since, until, text)
    for kind, subject, run, since, until, text in itertools.product(
        (None, "orders"),
        (None, "../a.csv"),
        (None, "r1"),
        (None, START + timedelta(minutes=20)),
        (None, START + timedelta(minutes=50)),
        ("", "A.CS"),
    )
]


def add_reports(store: Store) -> None:
    """Add 120 reports of three runs, several at the same time."""
    numbers = random.Random(3)
    with store.transaction():
        for run in ("r1", "r2", "r3"):
            store.add_run(run, "a", [], {})
        for n in range(120):
            kind, subject = numbers.choice(["orders", "customers"]), numbers.choice(["../a.csv", "b/ü.csv", "'"])
            counts = [{"outcome": "created", "count": n}]
            fields = {"event": LogEvent.REPORT, "kind": kind, "subject": subject, "total": n, "counts": counts}
            assert store.add_report(numbers.choice(["r1", "r2", "r3"]), {**fields, "task": "a"})
            store._db.execute(
                "UPDATE report SET time = ? WHERE json_extract(data, '$.total') = ?",
                (format_time(START + timedelta(minutes=n // 3)), n),
            )


def runs_one_by_one(store: Store, wanted: RunFilter) -> list[str]:
    """Return the IDs of the runs of a filter; read from the rows without SQL's conditions."""
    found = []
    for row in store._db.execute("SELECT * FROM run"):
        time = datetime.fromisoformat(row["created_at"])
        text = " ".join([row["id"], row["command"], row["environment"], row["started_by"], row["reason"] or ""])
        if (
            wanted.task in {None, row["task"]}
            and wanted.execution in {None, row["execution"]}
            and wanted.outcome in {None, judge_run(row["status"], row["exit_code"], row["stop_code"])}
            and (wanted.since is None or time >= wanted.since)
            and (wanted.until is None or time < wanted.until)
            and wanted.text.lower() in text.lower()
        ):
            found.append((time, row["id"]))
    return [id for _, id in sorted(found, reverse=True)]


def read_pages(store: Store, wanted: RunFilter, limit: int) -> Iterator[Page[TaskRun]]:
    before = None
    while True:
        page = store.runs(wanted, before=before, limit=limit)
        yield page
        if page.next is None:
            return
        before = Cursor.parse(str(page.next))


def test_pages_have_every_run_of_a_filter_once_and_in_order(store: Store) -> None:
    assert len(RUN_FILTERS) == 160
    matched = 0
    for wanted in RUN_FILTERS:
        expected = runs_one_by_one(store, wanted)
        for limit in (7, 500):
            pages = list(read_pages(store, wanted, limit))
            assert [run.id for page in pages for run in page] == expected, wanted
            assert all(len(page) == limit for page in pages[:-1])
        assert store.count_runs(wanted) == Count(len(expected), complete=True), wanted
        if len(expected) > 2:
            assert store.count_runs(wanted, limit=2) == Count(2, complete=False)
            assert store.count_runs(wanted, limit=len(expected)) == Count(len(expected), complete=True)
        matched += bool(expected)
    assert matched > 120


def test_executions_are_found_like_runs(store: Store) -> None:
    for wanted in EXECUTION_FILTERS:
        everything = store.executions(limit=1000)
        expected = [found.id for found in everything if matches(found, wanted)]
        first = store.executions(wanted, limit=4)
        rest = store.executions(wanted, before=first.next, limit=1000) if first.next else ()
        assert [found.id for found in (*first, *rest)] == expected
        assert store.count_executions(wanted) == Count(len(expected), complete=True)
    assert len(everything) == 60
    assert [found.started_at for found in everything] == sorted(
        (found.started_at for found in everything), reverse=True
    )


def matches(found: ExecutionSummary, wanted: ExecutionFilter) -> bool:
    return (
        wanted.workflow in {None, found.workflow}
        and wanted.outcome in {None, judge_execution(found.status)}
        and (wanted.since is None or found.started_at >= wanted.since)
        and (wanted.until is None or found.started_at < wanted.until)
        and wanted.text.lower() in found.id
    )


def test_reports_are_found_like_runs(store: Store) -> None:
    add_reports(store)
    everything = store.reports(limit=1000)
    assert len(everything) == 120
    assert store.report(everything[7].id) == everything[7]
    assert store.report("x") is None
    assert [(one.time, one.id) for one in everything] == sorted(
        ((one.time, one.id) for one in everything), reverse=True
    )
    matched = 0
    for wanted in REPORT_FILTERS:
        expected = [one for one in everything if matches_report(wanted, one)]
        found: list[Report] = []
        page = store.reports(wanted, limit=7)
        while True:
            found += page
            if page.next is None:
                break
            page = store.reports(wanted, before=Cursor.parse(str(page.next)), limit=7)
        assert found == expected, wanted
        matched += bool(expected)
    assert matched > 40


def test_the_reports_of_a_run_are_removed_with_it(store: Store) -> None:
    add_reports(store)
    store._db.execute("DELETE FROM run WHERE id = 'r1'")
    assert {one.run for one in store.reports(limit=1000)} == {"r2", "r3"}


def test_new_runs_do_not_shift_the_next_page(store: Store) -> None:
    expected = runs_one_by_one(store, RunFilter())
    first = store.runs(limit=10)
    store.add_run("new", "a", [], {})
    second = store.runs(before=first.next, limit=10)
    assert [run.id for run in (*first, *second)] == expected[:20]


def test_a_search_for_text_returns_what_it_has_examined(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = runs_one_by_one(store, RunFilter(text="out of"))
    monkeypatch.setattr(queries, "EXAMINED", 20)
    pages = list(read_pages(store, RunFilter(text="out of"), 5))
    assert [run.id for page in pages for run in page] == expected
    assert len(pages) >= 300 / 20
    assert not store.count_runs(RunFilter(text="out of")).complete


@pytest.mark.parametrize("text", ["%", "S3_K_Y", "S3%", "'", "\\", "ß", "\x00"])
def test_a_searched_text_has_no_wildcards(store: Store, text: str) -> None:
    assert list(store.runs(RunFilter(text=text))) == []


def test_no_query_reads_a_whole_table(store: Store) -> None:
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    for run_filter in RUN_FILTERS:
        store.runs(run_filter, before=Cursor(START + timedelta(days=1), "x"))
        store.runs(run_filter)
        store.count_runs(run_filter)
    for execution_filter in EXECUTION_FILTERS:
        store.executions(execution_filter)
        store.count_executions(execution_filter)
    for report_filter in REPORT_FILTERS:
        store.reports(report_filter, before=Cursor(START + timedelta(days=1), "x"))
    store.report("abc")
    store.find_ids("abc")
    store._db.set_trace_callback(None)
    plans = {statement: explain(store, statement) for statement in set(statements)}
    assert len(plans) > 500
    for statement, plan in plans.items():
        tables = [step for step in plan if "run" in step or "execution" in step or "report" in step]
        assert tables, statement
        assert all(step.startswith("SEARCH") for step in tables), (statement, plan)
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan or "UNION ALL" in statement, (statement, plan)


def explain(store: Store, statement: str) -> list[str]:
    return [row["detail"] for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}")]


@pytest.mark.parametrize("status", ["QUEUED", "RUNNING", "STOPPED"])
@pytest.mark.parametrize("exit_code", [None, 0, 1])
@pytest.mark.parametrize("stop_code", [None, "EssentialContainerExited", "UserInitiated"])
def test_the_outcome_of_a_run_is_the_same_in_sql(
    tmp_path: Path, status: str, exit_code: int | None, stop_code: str | None
) -> None:
    store = Store(tmp_path / "engine.sqlite")
    store.add_run("r", "a", [], {})
    store._db.execute("UPDATE run SET status = ?, exit_code = ?, stop_code = ?", (status, exit_code, stop_code))
    assert read_outcome(store, "run") == judge_run(status, exit_code, stop_code)


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"])
def test_the_outcome_of_an_execution_is_the_same_in_sql(tmp_path: Path, status: str) -> None:
    store = Store(tmp_path / "engine.sqlite")
    store.add_execution("e", "w", {}, {})
    store._db.execute("UPDATE execution SET status = ?", (status,))
    assert read_outcome(store, "execution") == judge_execution(status)


def read_outcome(store: Store, table: str) -> Outcome:
    outcome: Any = store._db.execute(f"SELECT outcome FROM {table}").fetchone()[0]
    assert outcome in OUTCOMES
    return outcome  # type: ignore[no-any-return]


@pytest.mark.parametrize("text", ["", "x", "~", "2026-11-01~a", "2026-11-01T00:00:00.000000Z", "2026-11-01T00:00Z~a"])
def test_a_damaged_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Cursor.parse(text)


def test_events_are_read_from_a_position_and_by_their_positions(tmp_path: Path) -> None:
    store = Store(tmp_path / "engine.sqlite")
    store.add_execution("e", "w", {}, {})
    store.add_events("e", 0, [HistoryEvent(n, n - 1, "PassStateEntered", START) for n in range(1, 6)])
    seen: list[str] = []
    store._db.set_trace_callback(seen.append)
    assert [event.id for event in store.events("e", 3)] == [4, 5]
    assert [event.id for event in store.events_at("e", [0, 3])] == [1, 4]
    store._db.set_trace_callback(None)
    plans = [explain(store, statement) for statement in seen]
    assert len(plans) == 2
    assert all("SEARCH event USING PRIMARY KEY" in plan[0] for plan in plans), plans
