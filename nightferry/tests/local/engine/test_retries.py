"""Retries of tasks: a failed run is started again, once for each attempt, also after the engine was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from nightferry.backend.errors import CannotRedrive
from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.contract import StopCode
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.runs.repeats import end_run
from nightferry.local.store import RunRecord
from tests.cli.terminal import nightferry, start
from tests.local.toy import make_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", out=tmp_path / "out")


@pytest.fixture
def backend(root: Path) -> LocalBackend:
    project = Project.find(root)
    return LocalBackend(project, project.environment("local"))


def work(backend: LocalBackend) -> list[TaskRun]:
    """Run the engine until nothing is open, and return the runs, oldest first."""
    asyncio.run(backend.work(lambda: not backend.store.has_open_work()))
    return backend.runs()[::-1]


def end(backend: LocalBackend, code: int | None, stop: str = StopCode.EXITED, **more: object) -> RunRecord | None:
    id = backend.run_task(RunRequest("late", **more))  # type: ignore[arg-type]  # options of the request
    return end_run(backend.store, backend._project.catalog, id, code, stop, "")


def test_a_failed_run_is_started_again_until_it_succeeds(root: Path, backend: LocalBackend) -> None:
    backend.run_task(RunRequest("again", env={"COLOR": "red"}, memory=1024, cpu=512))
    runs = work(backend)
    assert [(run.attempt, run.exit_code) for run in runs] == [(1, 1), (2, 1), (3, 0)]
    assert [run.repeats for run in runs] == [None, runs[0].id[:28], runs[1].id[:28]]
    assert {(run.env["COLOR"], run.memory, run.cpu) for run in runs} == {("red", 1024, 512)}
    for before, after, delay in ((runs[0], runs[1], 1), (runs[1], runs[2], 2)):
        assert before.stopped_at is not None
        assert after.started_at is not None
        assert after.not_before is not None
        assert timedelta() <= after.not_before - before.stopped_at - timedelta(seconds=delay) < timedelta(seconds=0.5)
        assert after.started_at >= after.not_before
    assert "Attempt     3 of 3" in nightferry(root, "status", runs[2].id).stdout


def test_the_next_attempt_is_visible_and_can_be_stopped(root: Path, backend: LocalBackend) -> None:
    second = end(backend, 1)
    assert second is not None
    assert f"attempt 2 at {second.run.not_before.astimezone():%Y-%m-%d %H:%M:%S}" in nightferry(root, "status").stdout  # type: ignore[union-attr]
    assert (
        f"Next at     {second.run.not_before.astimezone():%Y-%m-%d %H:%M:%S}"
        in nightferry(  # type: ignore[union-attr]
            root, "status", backend.runs()[1].id
        ).stdout
    )
    backend.stop(second.run.id, "by hand")
    assert [run.attempt for run in work(backend)] == [1, 2], "a stopped attempt is not followed by another one"


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("code", "stop", "retried"),
    [
        (1, StopCode.EXITED, True),
        (124, StopCode.EXITED, True),
        (137, StopCode.EXITED, True),
        (None, StopCode.NOT_STARTED, True),
        (None, StopCode.TERMINATED, True),
        (143, StopCode.TERMINATED, True),
        (0, StopCode.EXITED, False),
        (2, StopCode.EXITED, False),
        (143, StopCode.EXITED, False),
        (1, StopCode.BY_USER, False),
        (None, StopCode.BY_USER, False),
    ],
)
def test_only_failures_that_a_retry_may_repair_are_retried(
    backend: LocalBackend, code: int | None, stop: str, retried: bool
) -> None:
    again = end(backend, code, stop)
    assert (again is not None) == retried
    first = backend.runs()[-1].id
    assert end_run(backend.store, backend._project.catalog, first, code, stop, "") is None, "an end counts once"
    assert len(backend.runs()) == 1 + retried


def test_the_last_attempt_and_a_step_of_a_workflow_are_not_retried(backend: LocalBackend) -> None:
    second = end(backend, 1)
    assert second is not None
    third = end_run(backend.store, backend._project.catalog, second.run.id, 1, StopCode.EXITED, "")
    assert third is not None
    assert (third.run.attempt, third.environment["NIGHTFERRY_ATTEMPT"]) == (3, "3")
    assert end_run(backend.store, backend._project.catalog, third.run.id, 1, StopCode.EXITED, "") is None
    execution = backend.start_workflow("once", {})
    asyncio.run(backend.work(lambda: backend.execution(execution).status != "RUNNING"))
    assert len(backend.runs(RunFilter(execution=execution))) == 1


def test_a_redrive_starts_with_the_first_attempt(backend: LocalBackend) -> None:
    second = end(backend, 1)
    assert second is not None
    backend.stop(second.run.id, "by hand")
    third = backend.run(backend.redrive_run(second.run.id))
    assert (third.attempt, third.not_before) == (1, None)


def test_a_redrive_starts_the_planned_attempt_now(backend: LocalBackend) -> None:
    second = end(backend, 1, env={"COUNT": "0"})
    assert second is not None
    first = backend.runs()[1].id
    assert backend.redrive_run(first) == second.run.id
    assert [(run.attempt, run.exit_code) for run in work(backend)] == [(1, 1), (2, 0)]
    with pytest.raises(CannotRedrive, match=f"already started again, as run {second.run.id}"):
        backend.redrive_run(first)


def test_a_time_limit_is_a_failure_that_is_retried(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightferry.local.engine.launcher.LIMIT_GRACE_SECONDS", 0.1)
    id = backend.run_task(RunRequest("stubborn", ["sh", "-c", "sleep 60 & wait"]))
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    run = backend.run(id)
    assert (run.exit_code, run.stopped_by_user) == (124, False)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("when", ["during the task", "before the retry"])
def test_a_killed_engine_neither_loses_nor_repeats_an_attempt(root: Path, backend: LocalBackend, when: str) -> None:
    command = ("run", "again") if when == "before the retry" else ("run", "again", "--", "sleep", "60")
    process = start(root, *command)
    deadline = time.monotonic() + 60
    expected = (2, "QUEUED") if when == "before the retry" else (1, "RUNNING")
    while len(found := backend.runs()) < expected[0] or found[0].status != expected[1]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    if when == "during the task":
        with backend.store.transaction():  # the repeats need not run for a minute
            backend.store._db.execute("UPDATE run SET command = '[\"true\"]'")
    runs = work(backend)
    codes = [(1, 1), (2, 1), (3, 0)] if when == "before the retry" else [(1, None), (2, 0)]
    assert [(run.attempt, run.exit_code) for run in runs] == codes
