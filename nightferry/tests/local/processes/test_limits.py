"""Limits: how many tasks run at once, in which order, and what each may use."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import pytest

from nightferry.backend.interface import RunRequest
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.runs.admission import Admission
from nightferry.local.store import Store
from tests.local.toy import make_project

FORKS = """
import os, time
block = bytearray(300_000_000)  # shared with the children: it counts once
for child in range(4):
    if os.fork() == 0:
        time.sleep(3)
        os._exit(0)
time.sleep(3)
print("kept", flush=True)
"""
DAUGHTER = "python -c 'x = bytearray(700_000_000); import time; time.sleep(60)' & wait"
AWAY = "setsid python -c 'x = bytearray(700_000_000); import time; time.sleep(60)' & wait"


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
    id = backend.run_task(RunRequest(task, command or None))
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    ended = backend.run(id)
    return ended.exit_code, ended.reason or ""


@pytest.mark.parametrize("script", [DAUGHTER, AWAY], ids=["a child", "a child in a session of its own"])
def test_the_memory_of_all_that_a_task_has_started_counts(backend: LocalBackend, script: str) -> None:
    code, reason = run(backend, "greedy", "sh", "-c", script)
    assert code == 137
    assert reason == "OutOfMemoryError: Container killed due to memory usage (limit 512 MiB)"


def test_a_start_that_the_lease_has_skipped_says_so_in_its_status(backend: LocalBackend) -> None:
    said = '{"event": "skipped", "message": "Run x has the lease."}'
    assert run(backend, "hello", "echo", said) == (0, "Run x has the lease.")
    assert run(backend, "hello", "echo", '"skipped" {') == (0, "Essential container in task exited")


def test_memory_that_processes_share_counts_once(backend: LocalBackend) -> None:
    assert run(backend, "greedy", "python", "-c", FORKS) == (0, "Essential container in task exited")


def test_a_task_has_no_more_processors_than_its_size(backend: LocalBackend) -> None:
    command = ("python", "-c", "import os; print(len(os.sched_getaffinity(0)))")
    id = backend.run_task(RunRequest("hello", command, cpu=256))
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    assert [line.text for line in backend.log([id])] == ["1"]


def admitted(admission: Admission, number: int | None = None) -> list[str]:
    names = []
    for record in admission.admit():
        names.append(record.run.id)
        if len(names) == number:
            break
    return names


def queue(store: Store, task: str, ids: Iterable[str], execution: str | None = None) -> None:
    for id in ids:
        store.add_run(id, task, [], {}, execution=execution)


def test_runs_start_in_the_order_of_asking_as_far_as_limits_let_them(project: Project) -> None:
    store = Store(project.state / "engine.sqlite")
    admission = Admission(store, project.catalog, 3)
    queue(store, "two", ["a", "b", "c"])
    queue(store, "hello", ["d", "e"])
    queue(store, "two", ["f"])
    assert admitted(admission) == ["a", "b", "d"], "c waits for its task's limit, and nobody waits for c"
    assert admitted(admission) == []
    admission.release("d")
    assert admitted(admission) == ["e"]
    admission.release("a")
    assert admitted(admission) == ["c"], "c has kept its place before f"
    for id in ("b", "c", "e"):
        admission.release(id)
    assert admitted(admission) == ["f"]


def test_a_queued_start_waits_here_and_takes_nobodys_place(project: Project) -> None:
    store = Store(project.state / "engine.sqlite")
    store.add_execution("x", "w", {}, None)
    admission = Admission(store, project.catalog, 4)
    queue(store, "turns", ["a", "b"])
    queue(store, "turns", ["c", "d"], execution="x")
    assert admitted(admission) == ["a", "c", "d"], "an execution's runs share its lease"
    admission.release("a")
    assert admitted(admission) == ["b"]


def test_ten_thousand_queued_starts_cost_neither_memory_nor_time_nor_their_order(project: Project) -> None:
    store = Store(project.state / "engine.sqlite")
    with store.relaxed_durability(), store.transaction():
        queue(store, "two", (f"two-{n:05}" for n in range(5000)))
        queue(store, "hello", (f"hello-{n:05}" for n in range(5000)))
    admission = Admission(store, project.catalog, 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, order, active = time.process_time(), [], deque[str]()
    with store.relaxed_durability():
        for _ in range(500):
            batch = admitted(admission)
            order += batch
            active += batch
            admission.release(active.popleft())
    each = (time.process_time() - begun) / len(order)
    print(f"{each * 1000:.2f} ms of CPU for each start")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000, "kilobytes"
    for task in ("two", "hello"):
        ours = [id for id in order if id.startswith(task)]
        assert ours == sorted(ours)
        assert len(ours) > 100, "neither starves"


def test_no_more_run_at_once_than_the_environment_lets(backend: LocalBackend, tmp_path: Path) -> None:
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
