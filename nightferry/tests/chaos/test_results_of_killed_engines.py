"""Kill -9 of the engine between the end of a task and the reading of its result: the result is read once."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from nightferry.backend.queries import RunFilter
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.testing import forked
from tests.chaos.engines import finish

pytestmark = pytest.mark.sampled(8)

JOBS = """
from nightferry import JobSettings, Run, background_task

class CountSettings(JobSettings):
    pass

class ReportSettings(JobSettings):
    rows: int

@background_task("count", CountSettings)
def count(settings: CountSettings, run: Run) -> dict[str, int]:
    return {"rows": 7}

@background_task("report", ReportSettings)
def report(settings: ReportSettings, run: Run) -> dict[str, int]:
    return {"reported": settings.rows}
"""
CATALOG = """
from nightferry import Bucket, Catalog, Image, Output, RunTask, Steps

catalog = Catalog("results", image=Image("results"), results=Bucket("files") / "results")
catalog.bucket("files")
count = catalog.task("count", main="results_jobs:count")
report = catalog.task("report", main="results_jobs:report", env={"ROWS": 0})
catalog.workflow("counted", Steps(RunTask(count), RunTask(report, env={"ROWS": Output(count, "rows")})))
"""
# The engine kills itself before or after a step of the execution is recorded, or when it has read the result.
PROGRAM = """
import os, signal, sys
from nightferry.local.engine import executor
from nightferry.local.integrations import objects
from nightferry.local.__main__ import main

point, event, resource = sys.argv.pop(), sys.argv.pop(), sys.argv.pop()
save_step, read = executor.save_step, objects._read

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def save(store, id, written, machine, step):
    found = any(one.type == event and resource in str(one.details.get("resource", "")) for one in step.events)
    if found and point == "before":
        kill()
    save_step(store, id, written, machine, step)
    if found and point == "after":
        kill()

def read_and_die(parameters):
    outcome = read(parameters)
    if point == "read":
        kill()
    return outcome

executor.save_step, objects._read = save, read_and_die
main()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "of results"
    (root / "environments").mkdir(parents=True)
    (root / "results_jobs.py").write_text(JOBS)
    (root / "results_catalog.py").write_text(CATALOG)
    (root / "pyproject.toml").write_text('[tool.nightferry]\ncatalog = "results_catalog:catalog"\n')
    (root / "environments" / "local.toml").write_text('backend = "local"\n')
    return Project.find(root)


@pytest.mark.parametrize(
    ("resource", "event", "point"),
    [
        ("runTask", "TaskSucceeded", "before"),
        ("runTask", "TaskSucceeded", "after"),
        ("getObject", "TaskScheduled", "before"),
        ("getObject", "TaskScheduled", "after"),
        ("getObject", "", "read"),
        ("getObject", "TaskSucceeded", "before"),
        ("getObject", "TaskSucceeded", "after"),
    ],
)
def test_the_result_of_a_task_is_read_once(project: Project, resource: str, event: str, point: str) -> None:
    backend = LocalBackend(project, project.environment("local"))
    id = backend.start_workflow("counted", {})
    engine = forked.run(
        [sys.executable, "-c", PROGRAM, "local", resource, event, point],
        cwd=project.root,
        env={**os.environ, "NIGHTFERRY_STATE": str(project.state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert engine.returncode == -signal.SIGKILL, engine.stderr
    assert backend.execution(id).status == "RUNNING"
    finish(project)
    assert backend.execution(id).status == "SUCCEEDED"
    assert sorted((run.task, run.exit_code) for run in backend.runs(RunFilter(execution=id))) == [
        ("count", 0),
        ("report", 0),
    ]
    (report,) = backend.runs(RunFilter(task="report"))
    assert report.env["ROWS"] == "7"
    kinds = Counter(one.type for one in backend.store.events(id) if "getObject" in str(one.details.get("resource", "")))
    assert (kinds["TaskScheduled"], kinds["TaskSucceeded"], kinds["TaskFailed"]) == (1, 1, 0)
