"""Test kill -9 of engines, tasks and the database under mixed load: nothing is lost, repeated or left running.

``NIGHTFERRY_CHAOS_MINUTES=15 pytest tests/chaos/test_mixed_load.py -s`` runs it for 15 minutes and prints statistics.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.backend.starts import StartFilter
from nightferry.dashboard.access import read_token
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.engine import engine_lock
from nightferry.local.services.data_folders import find_folder
from nightferry.local.services.postgres import Postgres
from nightferry.states import ContextInfo, Execution
from nightferry.testing.tiers import SEED
from tests.chaos.engines import left_behind, until
from tests.chaos.mixed import make_mixed
from tests.chaos.storm import marks
from tests.cli.terminal import PROGRAM

MINUTES = float(os.environ.get("NIGHTFERRY_CHAOS_MINUTES", "2"))
QUIET_SHARE = 0.4  # final share of the time without kills of the engine; memory and open files must stay constant
MAX_GROWTH_BYTES = 25_000_000  # of an engine's memory in the quiet time
ENGINE_STOPPED = "The engine stopped while the task ran."


@dataclass
class Storm:
    """The load, the kills and the measurements of one test."""

    project: Project
    backend: LocalBackend
    rng: random.Random
    engine: subprocess.Popen[bytes] | None = None
    runs: list[str] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)

    @property
    def output(self) -> Path:
        return self.project.root / "engine.out"

    @property
    def database(self) -> Postgres:
        return Postgres(find_folder("database", self.project.state))

    def up(self) -> None:
        """Start an engine."""
        with self.output.open("ab") as output:
            self.engine = subprocess.Popen(
                [PROGRAM, "up", "--port", "0"],
                cwd=self.project.root,
                stdout=output,
                stderr=output,
            )

    def add_load(self) -> None:
        """Request some runs and executions, and write objects."""
        for _ in range(self.rng.randint(1, 12)):
            task = self.rng.choice(["work"] * 12 + ["few"] * 3 + ["insert"])
            self.runs.append(self.backend.run_task(RunRequest(task)))
        if self.rng.random() < 0.2 and len(self.backend.store.open_executions()) < 8:
            self.executions.append(self.backend.start_workflow("mixed", {}))
        if self.rng.random() < 0.3:
            key = f"in/{len(self.objects)}.csv"
            path = self.project.state / "buckets" / "inbox" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(key)
            self.objects.append(key)

    def kill(self, *, engine: bool) -> None:
        """Kill a random process; with ``engine``, possibly the engine."""
        assert self.engine is not None
        what = self.rng.choice(["task"] * 5 + ["database"] + ["engine"] * engine)
        if engine and not self.kills["engine"]:
            what = "engine"  # at least once, even in a short test
        if what == "task":
            begun = [run.pid for run in self.backend.store.begun_runs() if run.pid]
            if not begun:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.rng.choice(begun), signal.SIGKILL)
        elif what == "database":
            try:
                pid = int((self.database.data / "postmaster.pid").read_text().split()[0])
                os.kill(pid, signal.SIGKILL)
            except (OSError, IndexError, ValueError):
                return
        else:
            self.engine.kill()
            self.engine.wait()
            until(lambda: left_behind(self.project.state) == [], "all processes of tasks have ended", seconds=20)
            self.up()
        self.kills[what] += 1

    def measure(self) -> None:
        """Record the engine's memory and open files."""
        urls = [line.split('"url": "')[1].split('"')[0] for line in self.output.read_text().splitlines()
                if '"event": "up"' in line]  # fmt: skip
        with contextlib.suppress(httpx.HTTPError, IndexError):
            metrics = httpx.get(
                urls[-1] + "/metrics", headers={"Authorization": f"Bearer {read_token(self.project.state)}"}, timeout=20
            ).text
            values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
            self.memory.append(float(values["nightferry_engine_memory_bytes"]))
            self.files.append(float(values["nightferry_engine_open_files"]))


@pytest.mark.long
@pytest.mark.timeout(MINUTES * 60 + 1500)
def test_nothing_is_lost_repeated_or_left_running_after_kills(tmp_path: Path) -> None:
    project = Project.find(make_mixed(tmp_path / "mixed"))
    storm = Storm(project, LocalBackend(project, project.environment("local")), random.Random(SEED))
    storm.up()
    until(lambda: engine_lock.is_running(project.state), "an engine has the lock")
    until(lambda: '"event": "up"' in storm.output.read_text(), "the engine is running")
    try:
        apply_load(storm)
        finish(storm)
    finally:
        assert storm.engine is not None
        if storm.engine.poll() is None:
            storm.engine.kill()
            storm.engine.wait()
            storm.database.stop()
    check(storm)


def apply_load(storm: Storm) -> None:
    """Add load and kill processes until the time is over. Do not kill the engine in the quiet time."""
    begun = time.monotonic()
    length = MINUTES * 60
    next_kill, next_measurement = begun + 1, begun
    while (passed := time.monotonic() - begun) < length:
        may_kill_engine = passed < length * (1 - QUIET_SHARE)
        if sum(storm.backend.store.queue_depths().values()) < 150:
            storm.add_load()
        if time.monotonic() > next_kill:
            storm.kill(engine=may_kill_engine)
            next_kill = time.monotonic() + storm.rng.uniform(0.3, 6)
        if not may_kill_engine and time.monotonic() > next_measurement:
            storm.measure()
            next_measurement = time.monotonic() + length / 100
        time.sleep(storm.rng.uniform(0, 0.5))


def finish(storm: Storm) -> None:
    """Wait until everything open has ended, then stop the engine."""
    assert storm.engine is not None
    store = storm.backend.store
    until(
        lambda: len(store.starts(StartFilter("trigger:arrival"), limit=10**6)) == len(storm.objects),
        "all objects are processed",
        120,
    )
    until(lambda: sum(store.queue_depths().values()) == 0, "the queue is empty", 600)
    until(lambda: not [e for e in store.open_executions() if e.workflow == "mixed"], "executions end", 600)
    storm.measure()
    storm.engine.send_signal(signal.SIGTERM)
    assert storm.engine.wait(120) == 0, storm.output.read_text()[-3000:]
    with storm.output.open("ab") as output:  # runs what the drain has left open, such as an execution
        done = subprocess.run(
            [sys.executable, "-m", "nightferry.local", "local"],
            cwd=storm.project.root, env=os.environ, stdout=output, stderr=output, timeout=600, check=False,
        )  # fmt: skip
    assert done.returncode == 0


def check(storm: Storm) -> None:
    """Compare the store with the requests and with the output of the tasks."""
    backend, store = storm.backend, storm.backend.store
    runs = {run.id: run for run in backend.runs(limit=10**6)}
    written = marks(storm.project.root)
    began = Counter(mark.run for mark in written if mark.event == "begin")
    ended = {mark.run for mark in written if mark.event == "end"}
    codes = Counter(run.exit_code for run in runs.values())
    print(f"{len(runs)} runs, {len(storm.executions)} executions requested, {len(storm.objects)} objects, kills "
          f"{dict(storm.kills)}, exit codes {dict(codes)}")  # fmt: skip

    assert {run.status for run in runs.values()} == {"STOPPED"}, "a run did not end"
    assert set(storm.runs) <= runs.keys(), "a start was lost"
    assert began.keys() <= runs.keys(), "a run is missing in the store"
    assert max(began.values()) == 1, "a run was started twice"
    for run in runs.values():
        if run.exit_code == 0 and run.task != "insert":
            assert run.id in ended
            assert [line.text for line in backend.log([run.id])] == [f"line {n}" for n in range(1, 6)]
        elif run.exit_code is None:
            assert run.reason == ENGINE_STOPPED, run

    check_schedules(storm)
    keys = Counter(mark.name for mark in written if mark.event == "begin" and mark.name.startswith("in/"))
    arrivals = store.starts(StartFilter("trigger:arrival"), limit=10**6)
    assert len({start.id for start in arrivals}) == len(arrivals) == len(storm.objects)
    assert max(keys.values(), default=1) == 1, "an object started its task twice"
    for execution in backend.executions(limit=10**6):
        assert execution.status == "SUCCEEDED", execution
        check_history(backend, execution.id)
    check_database(storm, {run.id for run in runs.values() if run.task == "insert" and run.exit_code == 0})
    assert left_behind(storm.project.state) == []
    mine = str(storm.project.state)
    assert not [p.pid for p in psutil.process_iter(["cmdline"]) if mine in " ".join(p.info["cmdline"] or ())]
    with sqlite3.connect(storm.project.state / "engine.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check_growth(storm)


def check_schedules(storm: Storm) -> None:
    """Check that every minute has exactly one start, including the missed ones."""
    store = storm.backend.store
    for name, record in store.schedules().items():
        starts = store.starts(StartFilter(f"schedule:{name}", "started"), limit=10**6)
        due = sorted(start.due_at for start in starts)
        gaps = {later - earlier for earlier, later in pairwise(due)}
        assert gaps <= {timedelta(minutes=1)}, (name, due)
        assert len({start.id for start in starts}) == len(due)
        if due:
            assert due[0] - record.first_seen <= timedelta(minutes=1)
        lost = record.decided_until - (due[-1] if due else record.first_seen)
        assert lost < timedelta(minutes=1), (name, lost)
    started = store.count_starts(StartFilter(outcome="started"), limit=10**6)
    print(f"{started} starts by schedules and objects")


def check_history(backend: LocalBackend, id: str) -> None:
    """Check that the history is complete, has each run once, and replays to the same result."""
    history = backend.store.events(id)
    assert [event.id for event in history] == list(range(1, len(history) + 1))
    kinds = Counter(event.type for event in history)
    runs = backend.runs(RunFilter(execution=id), limit=10**6)
    assert kinds["TaskScheduled"] == len(runs)
    assert kinds["TaskSucceeded"] == sum(run.exit_code == 0 for run in runs) == 6
    again = Execution.replay(backend.store.definition(id), history, context=ContextInfo())
    assert (again.status, again.output) == ("SUCCEEDED", backend.execution(id).output)


def check_database(storm: Storm, succeeded: set[str]) -> None:
    """Check that the database has the committed row of each run once."""
    server = storm.database
    server.start()
    try:
        with psycopg.connect(server.conninfo("mixed")) as db:
            rows = [row[0] for row in db.execute("SELECT run FROM done")] if succeeded else []
    finally:
        server.stop()
    assert len(set(rows)) == len(rows)
    assert succeeded <= set(rows), "the row of a successful task is missing"
    print(f"{len(rows)} rows in the database of {len(succeeded)} runs that succeeded")


def check_growth(storm: Storm) -> None:
    """Check that the engine's memory and open files stayed constant in the quiet time."""
    if len(storm.memory) < 4:
        return
    quarter = len(storm.memory) // 4
    first, last = max(storm.memory[:quarter]), max(storm.memory[-quarter:])
    print(f"memory {first / 1e6:.0f} → {last / 1e6:.0f} MB, files {storm.files[0]:.0f} → {storm.files[-1]:.0f}")
    assert last - first < MAX_GROWTH_BYTES
    assert storm.files[-1] <= max(storm.files[: quarter * 2])
