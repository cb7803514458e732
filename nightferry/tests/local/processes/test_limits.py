"""Test limits: concurrency, order of starts, memory and processors."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import pytest

from nightferry.backend.runs import RunRequest
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.runs.admission import Admission
from nightferry.local.store import Store
from tests.local.toy import make_project

pytestmark = pytest.mark.sampled(8)

FORKS = """
import os, time
block = bytearray(300_000_000)  # shared with the children, so it counts once
for child in range(4):
    if os.fork() == 0:
        time.sleep(3)
        os._exit(0)
time.sleep(3)
print("finished", flush=True)
"""
CHILD = "python -c 'x = bytearray(700_000_000); import time; time.sleep(60)' & wait"
DETACHED_CHILD = "setsid python -c 'x = bytearray(700_000_000); import time; time.sleep(60)' & wait"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = make_project(tmp_path / "project")
    module = next(folder.glob("toy_*.py"))
    module.write_text(module.read_text() + LIMITED)
    with (folder / "environments" / "local.toml").open("a") as file:
        file.write("[engine]\nconcurrency = 3\n")
    return Project.find(folder)


LIMITED = """
catalog.leases = inbox / "leases"
two = sh("two", "true", concurrency=2)
turns = sh("turns", "true", overlap="queue")
"""


@pytest.fixture
def backend(project: Project) -> LocalBackend:
    return LocalBackend(project, project.environment("local"))


def run(backend: LocalBackend, task: str, *command: str) -> tuple[int | None, str]:
    id = backend.run_task(RunRequest(task, command))
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    ended = backend.run(id)
    return ended.exit_code, ended.reason or ""


@pytest.mark.parametrize("script", [CHILD, DETACHED_CHILD], ids=["a child", "a child in its own session"])
def test_the_memory_of_a_tasks_descendants_counts(backend: LocalBackend, script: str) -> None:
    code, reason = run(backend, "greedy", "sh", "-c", script)
    assert code == 137
    assert reason == "OutOfMemoryError: Container killed due to memory usage (limit 512 MiB)"


def test_memory_that_processes_share_counts_once(backend: LocalBackend) -> None:
    assert run(backend, "greedy", "python", "-c", FORKS) == (0, "Essential container in task exited")


def test_a_task_has_as_many_processors_as_its_size(backend: LocalBackend) -> None:
    command = ("python", "-c", "import os; print(len(os.sched_getaffinity(0)))")
    id = backend.run_task(RunRequest("hello", command, cpu=256))
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    assert [line.text for line in backend.log([id])] == ["1"]


def admit(admission: Admission, number: int | None = None) -> list[str]:
    names = []
    for record in admission.admit():
        names.append(record.run.id)
        if len(names) == number:
            break
    return names


def queue(store: Store, task: str, ids: Iterable[str], execution: str | None = None) -> None:
    for id in ids:
        store.add_run(id, task, [], {}, execution=execution)


def test_runs_start_in_the_order_of_requests_within_the_limits(project: Project) -> None:
    store = Store(project.state / "engine.sqlite")
    admission = Admission(store, project.catalog, 3)
    queue(store, "two", ["a", "b", "c"])
    queue(store, "hello", ["d", "e"])
    queue(store, "two", ["f"])
    assert admit(admission) == ["a", "b", "d"], "c waits for its task's limit, and the others do not wait for c"
    assert admit(admission) == []
    admission.release("d")
    assert admit(admission) == ["e"]
    admission.release("a")
    assert admit(admission) == ["c"], "c keeps its position before f"
    for id in ("b", "c", "e"):
        admission.release(id)
    assert admit(admission) == ["f"]


def test_a_run_with_overlap_queue_waits_without_occupying_a_place(project: Project) -> None:
    store = Store(project.state / "engine.sqlite")
    store.add_execution("x", "w", {}, None)
    admission = Admission(store, project.catalog, 4)
    queue(store, "turns", ["a", "b"])
    queue(store, "turns", ["c", "d"], execution="x")
    assert admit(admission) == ["a", "c", "d"], "an execution's runs share its lease"
    admission.release("a")
    assert admit(admission) == ["b"]


def test_ten_thousand_queued_runs_start_in_order_with_constant_memory(project: Project) -> None:
    store = Store(project.state / "engine.sqlite")
    with store.relaxed_durability(), store.transaction():
        queue(store, "two", (f"two-{n:05}" for n in range(5000)))
        queue(store, "hello", (f"hello-{n:05}" for n in range(5000)))
    admission = Admission(store, project.catalog, 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, order, active = time.process_time(), [], deque[str]()
    with store.relaxed_durability():
        for _ in range(500):
            batch = admit(admission)
            order += batch
            active += batch
            admission.release(active.popleft())
    each = (time.process_time() - begun) / len(order)
    print(f"{each * 1000:.2f} ms of CPU for each start")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000, "kilobytes"
    for task in ("two", "hello"):
        started = [id for id in order if id.startswith(task)]
        assert started == sorted(started)
        assert len(started) > 100, "neither starves"


def test_concurrency_is_limited_by_the_environment(backend: LocalBackend, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    script = f"echo + >> {marks}; sleep 0.05; echo - >> {marks}"
    ids = [backend.run_task(RunRequest("hello", ("sh", "-c", script))) for _ in range(20)]
    asyncio.run(backend.work(lambda: all(backend.run(id).status == "STOPPED" for id in ids)))
    at_once = most = 0
    for mark in marks.read_text().split():
        at_once += 1 if mark == "+" else -1
        most = max(most, at_once)
    assert most <= 3
    starts = [backend.run(id).started_at for id in ids]
    assert starts == sorted(starts, key=str)
