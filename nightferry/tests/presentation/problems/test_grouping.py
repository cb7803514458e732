"""Failures grouped by cause: the groups add up to the lists, and a retry repeats each failure once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nightferry.backend.errors import CannotRedrive
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.contract import EXITED_REASON, StopCode
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.store.times import now
from nightferry.presentation.problems import grouping
from nightferry.presentation.problems.grouping import ProblemReport, find_problems, list_retries
from tests.local.toy import make_project


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    project = Project.find(make_project(tmp_path / "a toy"))
    project.state.mkdir(exist_ok=True)
    backend = LocalBackend(project, project.environment("local"))
    yield backend
    backend.store.close()


def fail(backend: LocalBackend, id: str, task: str, exit_code: int | None = 1, error: str = "", **more: str) -> None:
    """Record a failed run, with other lines around its last error."""
    backend.store.add_run(id, task, [], {}, execution=more.get("execution"))
    if error:
        lines = [{"message": "first", "level": "ERROR"}, {"message": error, "level": "ERROR"}, {"message": "end"}]
        backend.store.add_lines([(id, json.dumps(line)) for line in lines])
    backend.store.mark_run_stopped(id, exit_code, StopCode.EXITED, more.get("reason", EXITED_REASON))


def report(backend: LocalBackend, since: datetime | None = None) -> ProblemReport:
    return find_problems(backend, since or now() - timedelta(days=1), now() + timedelta(seconds=1))


def test_five_hundred_failures_are_three_causes_and_one_retry_each(backend: LocalBackend) -> None:
    with backend.store.transaction():
        for n in range(500):
            error = f"Row {n} of 'in/{n}.csv' is invalid" if n % 5 else f"HTTP 503 of s3://in/{n}.csv"
            fail(backend, f"{n:032x}", "hello" if n % 2 else "three", error=error if n % 2 or n % 5 else "")
    found = report(backend)
    causes = [(one.name, one.error, one.message, len(one.failures)) for one in found.problems]
    assert causes == [
        ("hello", "exit code 1", "Row N of '…' is invalid", 200),
        ("three", "exit code 1", "Row N of '…' is invalid", 200),
        ("hello", "exit code 1", "HTTP 503 of LOCATION", 50),
        ("three", "exit code 1", "", 50),
    ]
    assert sum(len(one.failures) for one in found.problems) == found.runs
    assert found.runs == backend.count_runs(RunFilter(outcome="failed")).number
    assert len({one.key for one in found.problems}) == 4
    assert found.find(found.problems[0].key) == found.problems[0]
    assert found.find("x") is None
    retries = list_retries(found.problems[0].failures)
    assert len(retries) == 200
    assert [one.id for one in retries] == sorted(one.id for one in retries)
    for retry in retries:
        assert retry.perform(backend, dry_run=True) == retry.id
    assert backend.count_runs().number == 500
    repeats = [retry.perform(backend) for retry in retries]
    assert backend.count_runs().number == 700
    assert Counter(backend.run(id).repeats for id in repeats) == Counter(one.id[:28] for one in retries)
    with pytest.raises(CannotRedrive, match="was already started again"):
        retries[0].perform(backend)


def test_ends_without_a_message_have_words_and_reasons(backend: LocalBackend) -> None:
    fail(backend, "a" * 32, "hello", None, reason="no such program: 'x1'")
    fail(backend, "b" * 32, "hello", 137, reason="OutOfMemoryError: Container killed due to memory usage")
    fail(backend, "c" * 32, "hello", 124)
    fail(backend, "d" * 32, "hello", 2, "COUNT=x: Input should be a number.")
    fail(backend, "e" * 32, "hello", 0)
    causes = {(one.error, one.message) for one in report(backend).problems}
    assert causes == {
        ("did not start", "no such program: '…'"),
        ("out of memory", "OutOfMemoryError: Container killed due to memory usage"),
        ("time limit", ""),
        ("invalid settings (exit code 2)", "COUNT=x: Input should be a number."),
    }


def test_steps_are_retried_with_their_execution(backend: LocalBackend) -> None:
    cause = json.dumps({"Group": "family:three", "Containers": [{"ExitCode": 3}], "StartedAt": 1})
    for id in ("fails-1", "fails-2"):
        backend.store.add_execution(id, "fails", {}, {})
        fail(backend, f"{id[-1] * 32}", "three", 3, execution=id)
        backend.store.mark_execution_ended(id, "FAILED", None, "States.TaskFailed", cause)
    fail(backend, "f" * 32, "three", 3)
    found = report(backend)
    assert {(one.kind, one.of_steps, len(one.failures)) for one in found.problems} == {
        ("workflow", False, 2), ("task", True, 2), ("task", False, 1),
    }  # fmt: skip
    (of_workflow,) = [one for one in found.problems if one.kind == "workflow"]
    assert (of_workflow.error, of_workflow.message) == ("States.TaskFailed", "Task three ended with exit code 3.")
    assert found.executions == backend.count_executions(ExecutionFilter(outcome="failed")).number == 2
    everything = [failure for one in found.problems for failure in one.failures]
    assert [(one.kind, one.id) for one in list_retries(everything)] == [
        ("workflow", "fails-1"), ("workflow", "fails-2"), ("task", "f" * 32),
    ]  # fmt: skip


def test_a_report_says_that_it_stopped_at_its_limit(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST_RUNS", 3)
    for n in range(4):
        fail(backend, f"{n:032x}", "hello")
        assert report(backend).runs_complete == (n < 3)
    found = report(backend)
    assert (found.runs, found.executions_complete) == (3, True)


def test_failures_outside_the_period_do_not_count(backend: LocalBackend) -> None:
    fail(backend, "a" * 32, "hello")
    later = now() + timedelta(hours=1)
    assert find_problems(backend, later, later + timedelta(hours=1)).problems == ()
    assert find_problems(backend, later - timedelta(hours=2), backend.run("a" * 32).created_at).problems == ()
