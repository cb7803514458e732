"""Test the engine with real processes and a real store: environments, exit codes, limits, workflows and recovery."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.engine import launcher
from tests.local.toy import make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.find(make_project(tmp_path / "a project", out=tmp_path / "out"))


@pytest.fixture
def backend(project: Project) -> LocalBackend:
    return LocalBackend(project, project.environment("local"))


def run(backend: LocalBackend, task: str, **options: object) -> TaskRun:
    """Run one task until it ends, and return its run."""
    id = backend.run_task(RunRequest(task, **options))  # type: ignore[arg-type]  # options of the request
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    return backend.run(id)


def execute(backend: LocalBackend, workflow: str) -> WorkflowExecution:
    id = backend.start_workflow(workflow, {})
    asyncio.run(backend.work(lambda: backend.execution(id).status != "RUNNING"))
    return backend.execution(id)


def text(backend: LocalBackend, run: TaskRun) -> str:
    return "\n".join(line.text for line in backend.log([run.id]))


def test_a_task_gets_only_the_declared_environment(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from the user's shell")
    ended = run(backend, "hello")
    assert ended.succeeded
    lines = text(backend, ended).splitlines()
    assert lines[0] == "hello blue from hello"
    variables = {line.partition("=")[0] for line in lines[1:]}
    assert variables - {"_", "PWD", "SHLVL", "OLDPWD"} == {
        "COLOR", "ENVIRONMENT", "HOME", "LANG", "NIGHTFERRY_OVERLAP", "NIGHTFERRY_PRIVACY", "NIGHTFERRY_RUN_ID",
        "NIGHTFERRY_TASK", "NIGHTFERRY_TIME_LIMIT", "PATH", "PYTHONPATH", "TZ",
    }  # fmt: skip


def test_overrides_reach_the_task(backend: LocalBackend) -> None:
    ended = run(backend, "hello", env={"COLOR": "red"}, args=("sh", "-c", "echo only $COLOR"))
    assert text(backend, ended) == "only red"


def test_a_run_has_the_exit_code_of_its_task(backend: LocalBackend) -> None:
    ended = run(backend, "three")
    assert (ended.exit_code, ended.status) == (3, "STOPPED")
    assert text(backend, ended) == "leaving"


def test_a_missing_program_is_the_reason_of_the_run(backend: LocalBackend) -> None:
    ended = run(backend, "missing")
    assert ended.exit_code is None
    assert "no-such-program" in (ended.reason or "")


def test_all_lines_are_stored_in_order(backend: LocalBackend) -> None:
    ended = run(backend, "chatty")
    assert text(backend, ended) == "\n".join(str(n) for n in range(1, 20001))


def test_a_task_that_exceeds_its_memory_is_killed(backend: LocalBackend) -> None:
    ended = run(backend, "greedy")
    assert ended.exit_code == 137
    assert "OutOfMemoryError" in (ended.reason or "")


def test_a_task_that_ignores_its_limit_and_sigterm_is_killed(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "LIMIT_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(launcher, "STOP_GRACE_SECONDS", 0.3)
    ended = run(backend, "stubborn")
    assert ended.exit_code == 137
    assert "exceeded its time limit of 0:00:01" in (ended.reason or "")


def test_stopping_a_run_stops_its_processes(backend: LocalBackend) -> None:
    id = backend.run_task(RunRequest("slow"))
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    async def stop_when_it_runs() -> None:
        while not list(backend.log([id])):
            await asyncio.sleep(0.02)
        backend.stop(id[:12], "enough")

    async def both() -> None:
        await asyncio.gather(backend.work(lambda: backend.run(id).status == "STOPPED"), stop_when_it_runs())

    asyncio.run(both())
    assert backend.run(id).exit_code == 143
    assert backend.run(id).reason == "enough"
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_a_workflow_runs_its_tasks_in_order_and_its_map_concurrently(backend: LocalBackend, tmp_path: Path) -> None:
    assert execute(backend, "marks").status == "SUCCEEDED"
    marks = [line.split()[1] for line in (tmp_path / "out").read_text().splitlines()]
    assert marks[0] == "first"
    assert sorted(marks[1:4]) == ["each-0", "each-1", "each-2"]
    assert marks[4:] == ["last"]


def test_a_failed_task_is_retried_as_declared(backend: LocalBackend, tmp_path: Path) -> None:
    ended = execute(backend, "retried")
    assert ended.status == "SUCCEEDED"
    assert [state.attempts for state in backend.state_history(ended.id) if state.type == "Task"] == [3]


def test_a_failed_workflow_reports_the_step_and_the_cause(backend: LocalBackend) -> None:
    ended = execute(backend, "fails")
    assert (ended.status, ended.error) == ("FAILED", "States.TaskFailed")
    assert json.loads(ended.cause or "")["Containers"][0]["ExitCode"] == 3
    [notification] = backend.store.notifications()
    assert notification["topic"] == "failures"
    assert json.loads(notification["message"])["step"] == "three"
    assert not backend.runs(RunFilter(task="hello"))


def test_stopping_an_execution_stops_its_tasks(backend: LocalBackend) -> None:
    id = backend.start_workflow("stays", {})

    async def stop_when_it_runs() -> None:
        while not any(list(backend.log([run.id])) for run in backend.runs(RunFilter(execution=id))):
            await asyncio.sleep(0.02)
        backend.stop(id, "not today")

    async def both() -> None:
        await asyncio.gather(backend.work(lambda: backend.execution(id).status != "RUNNING"), stop_when_it_runs())

    asyncio.run(both())
    assert backend.execution(id).status == "ABORTED"
    assert [run.exit_code for run in backend.runs(RunFilter(execution=id))] == [143]


def test_a_start_returns_the_open_execution_with_overlap_skip(backend: LocalBackend) -> None:
    assert backend.start_workflow("marks", {}) == backend.start_workflow("marks", {})


def work_until_ended(backend: LocalBackend, *ids: str) -> list[str]:
    """Run the engine until these executions have ended, and return their statuses."""
    asyncio.run(backend.work(lambda: all(backend.execution(id).status != "RUNNING" for id in ids)))
    return [backend.execution(id).status for id in ids]


def test_executions_of_a_queued_workflow_run_one_after_the_other(backend: LocalBackend) -> None:
    first, second, third = (backend.start_workflow("queued", {}) for _ in range(3))
    backend.stop(second, "not needed")
    assert work_until_ended(backend, first, second, third) == ["SUCCEEDED", "ABORTED", "SUCCEEDED"]
    assert not backend.runs(RunFilter(execution=second))
    [before], [after] = backend.runs(RunFilter(execution=first)), backend.runs(RunFilter(execution=third))
    assert before.stopped_at is not None
    assert before.stopped_at <= after.created_at


def test_a_new_execution_replaces_the_open_one(backend: LocalBackend) -> None:
    first, second = backend.start_workflow("replaced", {}), backend.start_workflow("replaced", {})
    assert work_until_ended(backend, first, second) == ["ABORTED", "SUCCEEDED"]
    assert backend.execution(first).cause == f"Replaced by execution {second}."


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def start_engine(project: Project, workflow: str) -> int:
    """Start an engine in a separate process and return its process ID."""
    pid = os.fork()
    if pid == 0:
        try:
            backend = LocalBackend(project, project.environment("local"))
            execute(backend, workflow)
        finally:
            os._exit(0)
    return pid


@pytest.mark.sampled(3)
@pytest.mark.parametrize("delay", [0.05, 0.3, 0.6])
def test_the_next_engine_finishes_the_execution_of_a_killed_engine(
    project: Project, backend: LocalBackend, tmp_path: Path, delay: float
) -> None:
    pid = start_engine(project, "marks")
    until(lambda: bool(backend.executions()))
    time.sleep(delay)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    until(lambda: backend.executions()[0].status == "SUCCEEDED" or backend.executions()[0].interrupted)
    [execution] = backend.executions()
    ended = execute(backend, "marks") if execution.interrupted else execution
    assert ended.id == execution.id
    assert ended.status == "SUCCEEDED"
    marks = [line.split() for line in (tmp_path / "out").read_text().splitlines()]
    assert {name for _, name in marks} == {"first", "each-0", "each-1", "each-2", "last"}
    assert len({run for run, _ in marks}) == len(marks), "a run was started twice"
    histories = [event.id for event in backend.store.events(ended.id)]
    assert histories == list(range(1, len(histories) + 1))


def test_stopping_an_execution_of_a_killed_engine_works_at_once(project: Project, backend: LocalBackend) -> None:
    pid = start_engine(project, "stays")
    until(lambda: any(list(backend.log([run.id])) for run in backend.runs()))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    until(lambda: backend.executions()[0].interrupted)
    [execution] = backend.executions()
    backend.stop(execution.id, "not today")
    backend.apply_stop_requests()
    ended = backend.execution(execution.id)
    assert (ended.status, ended.error, ended.cause) == ("ABORTED", "ExecutionAborted", "not today")
    assert [(run.status, run.exit_code, run.reason) for run in backend.runs()] == [("STOPPED", None, "not today")]
    assert backend.store.events(execution.id)[-1].type == "ExecutionAborted"


def damage(backend: LocalBackend, execution: str) -> None:
    with sqlite3.connect(backend.store.file) as file:
        file.execute("UPDATE event SET event = '{}' WHERE execution = ? AND sequence = 1", (execution,))


def leave_open(project: Project, backend: LocalBackend, workflow: str) -> str:
    """Return an execution whose engine was killed while its task was running."""
    pid = start_engine(project, workflow)
    until(lambda: any(list(backend.log([run.id])) for run in backend.runs()))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    until(lambda: backend.executions()[0].interrupted)
    return backend.executions()[0].id


def test_an_execution_that_cannot_be_replayed_fails_without_affecting_others(
    project: Project, backend: LocalBackend
) -> None:
    id = leave_open(project, backend, "stays")
    damage(backend, id)
    assert run(backend, "three").exit_code == 3
    ended = backend.execution(id)
    assert (ended.status, ended.error) == ("FAILED", "States.Runtime")
    assert f"Cannot read event 2 of execution {id}" in (ended.cause or "")
    assert "nightferry start stays" in (ended.cause or "")
    assert {found.status for found in backend.runs()} == {"STOPPED"}
    assert f"cannot continue execution {id}" in (project.state / "engine.log").read_text()
    assert backend.state_history(id) == []


def test_an_execution_that_cannot_be_replayed_can_be_stopped(project: Project, backend: LocalBackend) -> None:
    id = leave_open(project, backend, "stays")
    damage(backend, id)
    backend.stop(id, "of no use")
    backend.apply_stop_requests()
    ended = backend.execution(id)
    assert (ended.status, ended.error) == ("ABORTED", "ExecutionAborted")
    assert (ended.cause or "").startswith("of no use")


def is_running(pid: int) -> bool:
    """Return True if the process is running and not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_the_remaining_processes_of_a_task_end_with_it(backend: LocalBackend) -> None:
    before = time.monotonic()
    ended = run(backend, "hello", args=("sh", "-c", "sleep 60 & echo $!"))
    assert time.monotonic() - before < 30
    assert ended.exit_code == 0
    assert not is_running(int(text(backend, ended)))


def test_a_run_stopped_before_its_start_never_starts(backend: LocalBackend) -> None:
    id = backend.run_task(RunRequest("three"))
    backend.stop(id, "changed my mind")
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    ended = backend.run(id)
    assert (ended.exit_code, ended.reason) == (None, "changed my mind")
    assert text(backend, ended) == ""


def test_a_run_requested_while_the_engine_ends_is_run(backend: LocalBackend) -> None:
    first = backend.run_task(RunRequest("three"))
    late: list[str] = []

    def ended() -> bool:
        if backend.run(first).status != "STOPPED":
            return False
        if not late:  # The engine has just found that nothing is open.
            late.append(backend.run_task(RunRequest("three")))
        return True

    asyncio.run(backend.work(ended))
    assert backend.run(late[0]).exit_code == 3


def test_the_history_of_a_task_has_the_events_of_aws(backend: LocalBackend) -> None:
    ended = execute(backend, "retried")
    types = [event.type for event in backend.store.events(ended.id)]
    assert types == [
        "ExecutionStarted", "ChoiceStateEntered", "ChoiceStateExited", "TaskStateEntered",
        "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskFailed",
        "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskFailed",
        "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded",
        "TaskStateExited", "ExecutionSucceeded",
    ]  # fmt: skip
