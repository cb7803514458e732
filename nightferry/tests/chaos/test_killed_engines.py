"""Test kill -9 of the engine at random moments: no run is lost or repeated, and no process is left."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from pathlib import Path

from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.engine import engine_lock
from nightferry.states import ContextInfo, Execution
from nightferry.testing.tiers import LONG, SEED
from tests.chaos.engines import finish, left_behind, start_engine, until
from tests.chaos.storm import make_storm, marks

KILLS = 10 if LONG else 3
EXECUTIONS = 3 if LONG else 1
ALONE = 12 if LONG else 6


def test_no_start_is_lost_or_repeated_and_no_process_is_left(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    project = Project.find(make_storm(tmp_path / "storm"))
    backend = LocalBackend(project, project.environment("local"))
    executions = [backend.start_workflow("storm", {}) for _ in range(EXECUTIONS)]
    alone = [backend.run_task(RunRequest("work")) for _ in range(ALONE)]

    for _ in range(KILLS):
        engine = start_engine(project)
        until(lambda: engine_lock.is_running(project.state), "an engine has the lock")
        time.sleep(rng.uniform(0, 0.4))
        engine.kill()
        engine.wait()
        until(lambda: left_behind(project.state) == [], "all processes of tasks have ended", seconds=10)
    finish(project)
    assert left_behind(project.state) == []

    began = Counter(mark.run for mark in marks(project.root) if mark.event == "begin")
    assert max(began.values()) == 1, "a run was started twice"
    runs = {run.id: run for run in backend.runs(limit=10_000)}
    assert began.keys() <= runs.keys(), "a run is missing in the store"
    assert {run.status for run in runs.values()} == {"STOPPED"}
    ended_marks = {mark.run for mark in marks(project.root) if mark.event == "end"}
    for run in runs.values():
        if run.exit_code == 0:
            assert run.id in ended_marks
            assert [line.text for line in backend.log([run.id])] == [f"line {n}" for n in range(1, 6)]
        else:
            assert (run.exit_code, run.reason) == (None, "The engine stopped while the task ran.")
    assert {id for id in alone if id in runs} == set(alone)

    for id in executions:
        assert backend.execution(id).status == "SUCCEEDED"
        check_history(backend, id)
        names = Counter(
            mark.name for mark in marks(project.root) if mark.event == "end" and runs[mark.run].execution == id
            and runs[mark.run].exit_code == 0
        )  # fmt: skip
        assert names == Counter(["first", *(f"each-{n}" for n in range(4)), "second", "third"])
    with sqlite3.connect(project.state / "engine.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def check_history(backend: LocalBackend, id: str) -> None:
    """Check that the history is complete, has each run once, and replays to the same result."""
    history = backend.store.events(id)
    assert [event.id for event in history] == list(range(1, len(history) + 1))
    kinds = Counter(event.type for event in history)
    runs = backend.runs(RunFilter(execution=id), limit=10_000)
    assert kinds["TaskScheduled"] == len(runs)
    assert kinds["TaskSucceeded"] == sum(run.exit_code == 0 for run in runs)
    assert kinds["TaskScheduled"] == kinds["TaskSucceeded"] + kinds["TaskFailed"]
    assert kinds["TaskScheduled"] == kinds["TaskStarted"] == kinds["TaskSubmitted"]
    again = Execution.replay(backend.store.definition(id), history, context=ContextInfo())
    assert (again.status, again.output) == ("SUCCEEDED", backend.execution(id).output)
