"""Pages and counts of runs and executions on AWS, compared with a list of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.executions import executions
from nightferry.aws.lru_cache import LruCache
from nightferry.aws.runs import queries
from nightferry.aws.session import Aws
from nightferry.backend.queries import (
    OUTCOMES,
    Count,
    Cursor,
    ExecutionFilter,
    Page,
    RunFilter,
    judge_execution,
    judge_run,
)
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, TaskScript
from tests.aws.project import make_aws_project

HOURS = (0, 1, 30, 300, 1, 1, 1500, 0, 20, 30, 900, 0, 1, 0)


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.find(make_aws_project(tmp_path_factory.mktemp("queries") / "toy"))


@pytest.fixture(scope="module")
def fargate(project: Project, clock: FakeClock) -> Iterator[FakeFargate]:
    """Return one fake for all tests, whose queries change nothing; the time of its clock may advance between them."""
    with pytest.MonkeyPatch.context() as patch, FakeFargate(project, "test", clock) as fake:
        for name, value in fake.variables.items():
            patch.setenv(name, value)
        yield fake


@pytest.fixture(scope="module")
def backend(project: Project, fargate: FakeFargate, clock: FakeClock) -> AwsBackend:
    environment = project.environment("test")
    assert environment.aws is not None
    return AwsBackend(project, environment, clock=clock, aws=Aws(environment.aws.region, environment.aws.account))


@pytest.fixture(scope="module")
def runs(backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> list[TaskRun]:
    """Return runs over four months, some requested at the same time, of which the last are open; newest first."""
    scripts = {
        "hello": TaskScript(),
        "three": TaskScript(exit_code=3, container_reason="it left"),
        "mark": TaskScript(stopped=None),
    }
    for task, script in scripts.items():
        fargate.script(task, script)
    ids = []
    for number, hours in enumerate(HOURS):
        if hours:
            clock.sleep(60)
            backend.run(ids[-1])  # the fake logs the end of a run at the next call
            clock.sleep(hours * 3600)
        ids.append(backend.run_task(RunRequest("three" if number % 3 else "hello", started_by=f"user {number}")))
    ids.append(backend.run_task(RunRequest("hello", env={"COLOR": "In/File.csv"})))
    ids.append(backend.run_task(RunRequest("mark")))
    clock.sleep(60)
    found = [backend.run(id) for id in ids]
    assert {judge_run(run.status, run.exit_code, run.stop_code) for run in found} == {"open", "succeeded", "failed"}
    return sorted(found, key=lambda run: (run.created_at, run.id), reverse=True)


def read_all(find: Any, wanted: Any, limit: int) -> list[Page[Any]]:
    pages, before = [], None
    while True:
        pages.append(find(wanted, before=before, limit=limit))
        if pages[-1].next is None:
            return pages
        before = Cursor.parse(str(pages[-1].next))


def matches(wanted: RunFilter, run: TaskRun) -> bool:
    return (
        wanted.task in {None, run.task}
        and wanted.outcome in {None, judge_run(run.status, run.exit_code, run.stop_code)}
        and (wanted.since is None or run.created_at >= wanted.since)
        and (wanted.until is None or run.created_at < wanted.until)
    )


@pytest.mark.long
def test_pages_have_every_run_of_a_filter_once_and_in_order(backend: AwsBackend, runs: list[TaskRun]) -> None:
    middle = runs[7].created_at
    filters = [
        *(RunFilter(task, outcome=outcome) for task in (None, "three") for outcome in (None, *OUTCOMES)),
        *(RunFilter(since=middle, outcome=outcome) for outcome in (None, "succeeded", "open")),
        *(RunFilter("three", until=middle, outcome=outcome) for outcome in (None, "failed")),
    ]
    for wanted in filters:
        expected = [run.id for run in runs if matches(wanted, run)]
        pages = read_all(backend.runs, wanted, 4)
        assert [run.id for page in pages for run in page] == expected, wanted
        assert all(len(page) == 4 for page in pages[:-1])
        assert backend.count_runs(wanted) == Count(len(expected), complete=True)
    assert [len(page) for page in read_all(backend.runs, RunFilter(), 50)] == [len(runs)]
    assert backend.count_runs(limit=3) == Count(3, complete=False)


def test_a_text_is_searched(backend: AwsBackend, runs: list[TaskRun]) -> None:
    for text, number in {"USER-3": 1, "it LEFT": 9, "file.csv": 1, "nothing": 0}.items():
        assert len(backend.runs(RunFilter(text=text), limit=len(runs))) == number, text


def test_periods_that_cannot_change_are_read_once(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, runs: list[TaskRun]
) -> None:
    clock.sleep(timedelta(hours=12).total_seconds())
    first = backend.runs(limit=100)
    assert [run.id for run in first] == [run.id for run in runs]
    fargate.calls.clear()
    assert [run.id for run in backend.runs(limit=100)] == [run.id for run in runs]
    assert fargate.calls.count("FilterLogEvents") <= 2  # today, and yesterday while its runs may still run
    fargate.calls.clear()
    backend.runs(RunFilter(outcome="open"))
    assert fargate.calls.count("FilterLogEvents") == 0


def test_a_query_returns_what_it_has_examined(
    backend: AwsBackend, runs: list[TaskRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "EXAMINED", 1)
    pages = read_all(backend.runs, RunFilter(task="hello", outcome="succeeded"), 50)
    assert len(pages) >= 3
    expected = [run.id for run in runs if run.task == "hello" and run.exit_code == 0]
    assert [run.id for page in pages for run in page] == expected
    assert not backend.count_runs().complete


def test_executions_are_listed_without_a_call_for_each(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT", "SUCCEEDED", "RUNNING"]
    started = []
    for number, status in enumerate(statuses * 2):
        workflow = ("fails", "marks")[number % 2]
        id = backend.start_workflow(workflow, {}) if status != "RUNNING" or number > 6 else ""
        if id:
            fargate.set_history(id, [], status=status)
            started.append((id, workflow, status))
        clock.sleep(1800)
    started.reverse()
    fargate.calls.clear()
    assert ids(backend.executions(limit=50)) == [id for id, _, _ in started]
    failed = sum(status in ("FAILED", "TIMED_OUT", "ABORTED") for _, _, status in started)
    assert fargate.calls.count("DescribeExecution") == failed
    fargate.calls.clear()
    backend.executions(limit=50)
    assert fargate.calls.count("DescribeExecution") == 0
    for outcome in (None, *OUTCOMES):
        for workflow in (None, "marks"):
            wanted = ExecutionFilter(workflow, outcome)
            expected = [
                id
                for id, name, status in started
                if workflow in (None, name) and outcome in (None, judge_execution(status))
            ]
            pages = read_all(backend.executions, wanted, 2)
            assert [found.id for page in pages for found in page] == expected
            assert backend.count_executions(wanted) == Count(len(expected), complete=True)
    monkeypatch.setattr(executions, "EXAMINED", 2)
    pages = read_all(backend.executions, ExecutionFilter(text=started[-1][0]), 50)
    assert [found.id for page in pages for found in page] == [started[-1][0]]


def ids(found: Sequence[Any]) -> list[str]:
    return [one.id for one in found]


def test_the_least_recently_read_value_is_dropped() -> None:
    cache: LruCache[int] = LruCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache["a"] == 1
    cache.put("c", 3)
    assert ("a" in cache, "b" in cache, len(cache)) == (True, False, 2)
