"""Test the admission of runs and executions: their order, the limits, and the steps of SQLite for each start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.environments.project import Project
from nightferry.local.runs.admission import Admission, ExecutionAdmission
from nightferry.local.store import Store, now
from tests.local.toy import make_project

FEW, MANY = 20, 2000


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return Project.find(make_project(tmp_path_factory.mktemp("admission") / "toy")).catalog


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "engine.sqlite")


def count_steps(store: Store, action: Callable[[], object]) -> int:
    """Return the number of instructions of SQLite's virtual machine that the action needs."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    store._db.set_progress_handler(count, 1)
    action()
    store._db.set_progress_handler(None, 1)
    return steps


def add_executions(store: Store, number: int, workflow: str = "fails", started_by: str = "") -> list[str]:
    first = sum(store.open_counts().values())
    ids = [f"e{first + n:05}" for n in range(number)]
    with store.transaction():
        for id in ids:
            store.add_execution(id, workflow, {}, {}, started_by=started_by)
    return ids


# ── the steps for each start ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("planned", [False, True], ids=["at once", "after a time"])
def test_the_start_of_a_run_needs_the_same_steps_however_many_are_queued(
    tmp_path: Path, catalog: Catalog, planned: bool
) -> None:
    def measure(number: int) -> int:
        store = Store(tmp_path / f"{number}.sqlite")
        time = now() - timedelta(seconds=1) if planned else None
        with store.transaction():
            for n in range(number):
                store.add_run(f"r{n}", ["hello", "three", "no longer declared"][n % 3], [], {}, not_before=time)
        return count_steps(store, lambda: next(Admission(store, catalog, 4).admit()))

    assert measure(MANY) <= 1.1 * measure(FEW)


@pytest.mark.parametrize("begun", [0, 500], ids=["the first", "while others run"])
def test_the_start_of_an_execution_needs_the_same_steps_however_many_wait(
    tmp_path: Path, catalog: Catalog, begun: int
) -> None:
    def measure(number: int, begun: int) -> int:
        store = Store(tmp_path / f"{number}.sqlite")
        add_executions(store, number // 2 + begun)
        add_executions(store, number // 2, started_by="child:e00000")
        admission = ExecutionAdmission(store, catalog, 1000)
        for _ in range(begun):
            next(admission.admit())
        return count_steps(store, lambda: next(admission.admit()))

    assert measure(MANY, begun) <= 1.1 * measure(FEW, 0)


def test_stop_requests_are_read_without_the_runs_and_executions_that_have_none(tmp_path: Path) -> None:
    def measure(number: int) -> int:
        store = Store(tmp_path / f"{number}.sqlite")
        with store.transaction():
            for n in range(number):
                store.add_run(f"r{n}", "hello", [], {})
        add_executions(store, number)
        store.request_stop("r7", "because")
        store.request_stop("e00008", "because")
        assert store.stop_requests() == {"r7": "because", "e00008": "because"}
        return count_steps(store, store.stop_requests)

    assert measure(MANY) == measure(FEW)


# ── the order of runs ─────────────────────────────────────────────────────────────────────────────────────────


def test_runs_start_in_the_order_of_their_requests_and_planned_ones_when_they_are_due(
    store: Store, catalog: Catalog
) -> None:
    time = now()
    store.add_run("later", "hello", [], {}, not_before=time + timedelta(hours=1))
    store.add_run("due second", "hello", [], {}, not_before=time - timedelta(seconds=1))
    store.add_run("due first", "hello", [], {}, not_before=time - timedelta(seconds=2))
    store.add_run("last", "three", [], {})
    admitted = [record.run.id for record in Admission(store, catalog, 10).admit()]
    assert admitted == ["due first", "due second", "last"]


# ── the order of executions ───────────────────────────────────────────────────────────────────────────────────


def test_executions_start_in_order_up_to_the_limit(store: Store, catalog: Catalog) -> None:
    ids = add_executions(store, 5)
    admission = ExecutionAdmission(store, catalog, 3)
    assert [record.id for record in admission.admit()] == ids[:3]
    assert not list(admission.admit())
    admission.release(ids[1])
    assert [record.id for record in admission.admit()] == ids[3:4]


def test_an_execution_that_another_one_waits_for_may_exceed_the_limit(store: Store, catalog: Catalog) -> None:
    [parent, waiting] = add_executions(store, 2)
    [child] = add_executions(store, 1, started_by=f"child:{parent}")
    admission = ExecutionAdmission(store, catalog, 1)
    assert [record.id for record in admission.admit()] == [parent, child]
    admission.release(parent)
    assert not list(admission.admit())
    admission.release(child)
    assert [record.id for record in admission.admit()] == [waiting]


def test_a_workflow_with_a_queue_starts_one_execution_after_the_other(store: Store, catalog: Catalog) -> None:
    queued = add_executions(store, 2, "queued")
    [child] = add_executions(store, 1, "queued", started_by=f"child:{queued[0]}")
    [other] = add_executions(store, 1)
    admission = ExecutionAdmission(store, catalog, 10)
    assert [record.id for record in admission.admit()] == [queued[0], other]
    for ended, following in ((queued[0], queued[1]), (queued[1], child)):
        store.mark_execution_ended(ended, "SUCCEEDED", None, None, None)
        admission.release(ended)
        assert [record.id for record in admission.admit()] == [following]


def test_a_new_engine_begins_the_executions_of_the_one_before_it(store: Store, catalog: Catalog) -> None:
    ids = add_executions(store, 2)
    assert [record.id for record in ExecutionAdmission(store, catalog, 1).admit()] == ids[:1]
    store.mark_executions_waiting()
    assert [record.id for record in ExecutionAdmission(store, catalog, 5).admit()] == ids


def test_a_redriven_execution_begins_after_the_engine_has_processed_its_end(store: Store, catalog: Catalog) -> None:
    [id] = add_executions(store, 1)
    admission = ExecutionAdmission(store, catalog, 5)
    list(admission.admit())
    store.mark_execution_ended(id, "FAILED", None, "error", "cause")
    store.mark_execution_reopened(id)
    assert not list(admission.admit())
    admission.release(id)
    assert [record.id for record in admission.admit()] == [id]
