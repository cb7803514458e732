"""Test what happens to work that waits when its declaration is removed, as *Upgrades, removals and renames* states."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightferry.backend.runs import RunRequest
from nightferry.environments.project import Project
from nightferry.errors import UnknownName
from nightferry.local.backend import LocalBackend
from tests.local.toy import make_project


def work(backend: LocalBackend) -> None:
    """Run all work to its end."""
    asyncio.run(backend.work(lambda: not backend.store.has_open_work()))


def test_waiting_work_of_a_removed_declaration_affects_nothing_else(tmp_path: Path) -> None:
    project = Project.find(make_project(tmp_path / "toy", out=tmp_path / "out"))
    backend = LocalBackend(project, project.environment("local"))
    queued, other = backend.run_task(RunRequest("late")), backend.run_task(RunRequest("mark"))
    removed = [backend.start_workflow("queued", {}) for _ in range(2)]
    failing = backend.start_workflow("retried", {})
    for task in ("late", "flaky"):
        del project.catalog.tasks[task]
    del project.catalog.workflows["queued"]

    work(backend)

    ended = backend.run(queued)
    assert (ended.status, ended.exit_code, ended.stop_code) == ("STOPPED", None, "TaskFailedToStart")
    assert "Task 'late' is not in the catalog" in (ended.reason or "")
    assert backend.find_repeat(queued) is None, "a removed task has no further attempts"
    with pytest.raises(UnknownName, match="Task 'late' not found"):
        backend.redrive_run(queued)
    assert backend.run(other).succeeded
    assert [backend.execution(id).status for id in removed] == ["SUCCEEDED", "SUCCEEDED"]
    execution = backend.execution(failing)
    assert (execution.status, execution.error) == ("FAILED", "States.TaskFailed")
    assert "Task 'flaky' is not in the catalog" in (execution.cause or "")


def test_a_redrive_continues_an_execution_of_a_removed_workflow(tmp_path: Path) -> None:
    project = Project.find(make_project(tmp_path / "toy", out=tmp_path / "out"))
    backend = LocalBackend(project, project.environment("local"))
    id = backend.start_workflow("resumed", {})
    work(backend)
    assert backend.execution(id).status == "FAILED"
    del project.catalog.workflows["resumed"]
    (tmp_path / "out.n").write_text("2")  # so that the task that failed succeeds
    backend.redrive(id)
    work(backend)
    assert backend.execution(id).status == "SUCCEEDED"
