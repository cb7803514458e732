"""The last errors of many runs on AWS: a call for up to 100 of them, and none for what was read before."""

from __future__ import annotations

import json
from datetime import timedelta

from nightferry.aws.backend import AwsBackend
from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.presentation.problems.grouping import find_problems
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript


def line(at: float, message: str, level: str = "ERROR") -> ScriptedLine:
    return ScriptedLine(at, json.dumps({"message": message, "level": level}))


def test_failures_are_grouped_with_one_call_for_the_log(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    since = clock.now()
    scripts = [TaskScript(exit_code=3, stopped=5)]
    for n in range(5):
        lines = [line(1, "first"), line(2, f"Row {n} is invalid"), line(3, "end", "INFO")]
        scripts.append(TaskScript(exit_code=3, lines=lines, stopped=5))
    fargate.script("three", *scripts)
    for _ in scripts:
        backend.run_task(RunRequest("three"))
    fargate.script("hello", TaskScript(exit_code=None, stopped=3, container_reason="CannotPullContainerError: image"))
    backend.run_task(RunRequest("hello"))
    clock.sleep(60)
    for run in backend.runs(limit=10):
        backend.run(run.id)  # the fake logs the end of a run at the next call
    clock.sleep(60)
    fargate.calls.clear()
    found = find_problems(backend, since, clock.now() + timedelta(seconds=1))
    # Two for the state changes; the others halve the runs until the missing stream is alone.
    assert fargate.calls.count("FilterLogEvents") <= 2 + 7
    causes = {(one.name, one.error, one.message, len(one.failures)) for one in found.problems}
    assert {("three", "exit code 3", "Row N is invalid", 5), ("three", "exit code 3", "", 1)} <= causes
    assert sum(len(one.failures) for one in found.problems) == backend.count_runs(RunFilter(outcome="failed")).number
    clock.sleep(3600)
    failed = backend.runs(RunFilter(outcome="failed")).entries
    backend.last_errors(failed)  # from now on, no late line is expected
    fargate.calls.clear()
    assert len(backend.last_errors(failed)) == 5
    assert fargate.calls == []
