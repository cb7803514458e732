"""What runs used on AWS: durations from ECS, peaks of memory from their last lines, and few calls for both."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.backend.runs import RunRequest
from nightferry.costs.observations import observe
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript


def write_end(peak: int) -> str:
    return json.dumps({"message": "ended with exit code 0", "event": "ended", "peak_memory_bytes": peak})


@pytest.fixture
def runs(backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> list[str]:
    """Return four runs, the oldest first: 10, 20, 30 and 40 seconds. One more is running."""
    scripts = []
    for number in range(1, 5):
        lines = [ScriptedLine(1, '{"message": "x", "event": "progress"}'), ScriptedLine(2, write_end(number << 20))]
        scripts.append(TaskScript(lines=lines, stopped=10 * number, exit_code=1 if number == 3 else 0))
    fargate.script("hello", *scripts, TaskScript(stopped=None))
    ids = []
    for number in range(1, 5):
        ids.append(backend.run_task(RunRequest("hello")))
        for seconds in (1, 10 * number, 600):  # the fake changes the state of a task at the next call
            clock.sleep(seconds)
            backend.run(ids[-1])
    backend.run_task(RunRequest("hello"))
    clock.sleep(60)
    return ids


def test_the_measures_of_ended_runs_newest_first(backend: AwsBackend, clock: FakeClock, runs: list[str]) -> None:
    since = clock.now() - timedelta(days=1)
    found = backend.usage(since, task="hello")
    assert [one.run for one in found] == runs[::-1]
    assert [one.outcome for one in found] == ["succeeded", "failed", "succeeded", "succeeded"]
    lengths = [one.seconds for one in found]
    assert lengths == sorted(lengths, reverse=True)  # type: ignore[type-var]
    assert [one.peak_memory for one in found] == [4 << 20, 3 << 20, 2 << 20, 1 << 20]
    assert [one.run for one in backend.usage(since, limit=3)] == runs[:1:-1]
    assert {one.peak_memory for one in backend.usage(since)} == {None}


def test_peaks_are_read_once_in_ten_minutes(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, runs: list[str]
) -> None:
    since = clock.now() - timedelta(days=1)
    backend.usage(since, task="hello")
    fargate.calls.clear()
    for _ in range(5):
        assert len(backend.usage(since, task="hello")) == len(runs)
    few = fargate.calls.count("FilterLogEvents")
    clock.sleep(700)
    backend.usage(since, task="hello")
    assert few <= 5 * 2
    assert fargate.calls.count("FilterLogEvents") > few


def test_an_estimate_makes_a_bounded_number_of_calls(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, project: Project, runs: list[str]
) -> None:
    for _ in range(6):
        backend.start_workflow("once", {})
        clock.sleep(600)
    fargate.calls.clear()
    now = clock.now()
    found = observe(backend, project.catalog, "test", True, now - timedelta(days=30), now)
    assert found.tasks["hello"].runs == len(runs)
    assert len(fargate.calls) < 10 * len(project.catalog.workflows)


def test_the_size_of_the_log_is_a_metric(backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> None:
    since = clock.now() - timedelta(days=30)
    assert backend.log_volume(since) is None, "a log group without a metric"
    metrics = backend.aws.session.client("cloudwatch", config=backend.aws.config)
    dimensions = [{"Name": "LogGroupName", "Value": backend.naming.log_group}]
    for days, size in ((40, 5000), (20, 700), (3, 80)):
        metrics.put_metric_data(
            Namespace="AWS/Logs",
            MetricData=[
                {
                    "MetricName": "IncomingBytes",
                    "Dimensions": dimensions,
                    "Timestamp": clock.now() - timedelta(days=days),
                    "Value": size,
                }
            ],
        )
    assert backend.log_volume(since) == 780
    fargate.inject_errors("GetMetricStatistics", "AccessDenied", times=5, status=403)
    assert backend.log_volume(since) is None
