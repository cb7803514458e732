"""kill -9 of engine, tasks and database, at random, under mixed load: nothing lost, nothing doubled, nobody left.

``NIGHTFERRY_CHAOS_MINUTES=15 pytest tests/chaos/test_mixed_load.py -s`` does it for so long, and tells its figures.
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

from nightferry.backend.interface import RunRequest
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.engine import engine as engines
from nightferry.local.services.postgres import Postgres, private_directory
from nightferry.states import ContextInfo, Execution
from nightferry.testing.tiers import SEED
from tests.chaos.engines import left_behind, until
from tests.chaos.mixed import make_mixed
from tests.chaos.storm import marks

MINUTES = float(os.environ.get("NIGHTFERRY_CHAOS_MINUTES", "2"))
QUIET = 0.4  # the last part of the time, in which the engine is left alone: its memory and files must stay flat
GROWTH = 25_000_000  # bytes that an engine may take while it works
LOST = "The engine stopped while the task ran."


@dataclass
class Storm:
    """What is asked for, what is killed, and what the engine says of itself."""

    project: Project
    backend: LocalBackend
    dice: random.Random
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
        return Postgres(private_directory("database", self.project.state))

    def up(self) -> None:
        """Start an engine."""
        with self.output.open("ab") as output:
            self.engine = subprocess.Popen(
                [sys.executable, "-m", "tests.local.nightferry_script", "up", "--port", "0"],
                cwd=self.project.root,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
                stdout=output,
                stderr=output,
            )

    def ask(self) -> None:
        """Add some work."""
        for _ in range(self.dice.randint(1, 12)):
            task = self.dice.choice(["work"] * 12 + ["few"] * 3 + ["insert"])
            self.runs.append(self.backend.run_task(RunRequest(task)))
        if self.dice.random() < 0.2 and len(self.backend.store.open_executions()) < 8:
            self.executions.append(self.backend.start_workflow("mixed", {}))
        if self.dice.random() < 0.3:
            key = f"in/{len(self.objects)}.csv"
            path = self.project.state / "buckets" / "inbox" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(key)
            self.objects.append(key)

    def kill(self, *, engine: bool) -> None:
        """Kill something: with ``engine`` now and then that, too."""
        assert self.engine is not None
        what = self.dice.choice(["task"] * 5 + ["database"] + ["engine"] * engine)
        if engine and not self.kills["engine"]:
            what = "engine"  # also in a short time
        if what == "task":
            begun = [run.pid for run in self.backend.store.begun_runs() if run.pid]
            if not begun:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.dice.choice(begun), signal.SIGKILL)
        elif what == "database":
            try:
                pid = int((self.database.data / "postmaster.pid").read_text().split()[0])
                os.kill(pid, signal.SIGKILL)
            except (OSError, IndexError, ValueError):
                return
        else:
            self.engine.kill()
            self.engine.wait()
            until(lambda: left_behind(self.project.state) == [], "all that tasks started has ended", seconds=20)
            self.up()
        self.kills[what] += 1

    def look(self) -> None:
        """Note what the engine uses."""
        urls = [line.split('"url": "')[1].split('"')[0] for line in self.output.read_text().splitlines()
                if '"event": "up"' in line]  # fmt: skip
        with contextlib.suppress(httpx.HTTPError, IndexError):
            figures = httpx.get(urls[-1] + "/metrics", timeout=20).text
            values = dict(line.rsplit(" ", 1) for line in figures.splitlines() if not line.startswith("#"))
            self.memory.append(float(values["nightferry_engine_memory_bytes"]))
            self.files.append(float(values["nightferry_engine_open_files"]))


@pytest.mark.long
@pytest.mark.timeout(MINUTES * 60 + 1500)
def test_nothing_is_lost_doubled_or_left_whatever_is_killed(tmp_path: Path) -> None:
    project = Project.find(make_mixed(tmp_path / "mixed"))
    storm = Storm(project, LocalBackend(project, project.environment("local")), random.Random(SEED))
    storm.up()
    until(lambda: engines.is_running(project.state), "an engine has the lock")
    until(lambda: '"event": "up"' in storm.output.read_text(), "the engine works")
    try:
        rage(storm)
        settle(storm)
    finally:
        assert storm.engine is not None
        if storm.engine.poll() is None:
            storm.engine.kill()
            storm.engine.wait()
            storm.database.stop()
    check(storm)


def rage(storm: Storm) -> None:
    """Ask and kill until the time is over; in its last part the engine is left alone."""
    begun = time.monotonic()
    length = MINUTES * 60
    next_kill, next_look = begun + 1, begun
    while (passed := time.monotonic() - begun) < length:
        wild = passed < length * (1 - QUIET)
        if sum(storm.backend.store.queue_depths().values()) < 150:
            storm.ask()
        if time.monotonic() > next_kill:
            storm.kill(engine=wild)
            next_kill = time.monotonic() + storm.dice.uniform(0.3, 6)
        if not wild and time.monotonic() > next_look:
            storm.look()
            next_look = time.monotonic() + length / 100
        time.sleep(storm.dice.uniform(0, 0.5))


def settle(storm: Storm) -> None:
    """No more kills: all that is open ends, and so does the engine."""
    assert storm.engine is not None
    store = storm.backend.store
    until(lambda: len(store.starts("trigger:arrival", limit=10**6)) == len(storm.objects), "all objects are seen", 120)
    until(lambda: sum(store.queue_depths().values()) == 0, "the queue is worked off", 600)
    until(lambda: not [e for e in store.open_executions() if e.workflow == "mixed"], "executions end", 600)
    storm.look()
    storm.engine.send_signal(signal.SIGTERM)
    assert storm.engine.wait(120) == 0, storm.output.read_text()[-3000:]
    with storm.output.open("ab") as output:  # what the drain has left open, such as an execution in its middle
        done = subprocess.run(
            [sys.executable, "-m", "nightferry.local", "local"],
            cwd=storm.project.root, env=os.environ, stdout=output, stderr=output, timeout=600, check=False,
        )  # fmt: skip
    assert done.returncode == 0


def check(storm: Storm) -> None:
    """Hold what is written down against what was asked for and what tasks did."""
    backend, store = storm.backend, storm.backend.store
    runs = {run.id: run for run in backend.runs(limit=10**6)}
    written = marks(storm.project.root)
    began = Counter(mark.run for mark in written if mark.what == "begin")
    ended = {mark.run for mark in written if mark.what == "end"}
    codes = Counter(run.exit_code for run in runs.values())
    print(f"{len(runs)} runs, {len(storm.executions)} executions asked for, {len(storm.objects)} objects, kills "
          f"{dict(storm.kills)}, exit codes {dict(codes)}")  # fmt: skip

    assert {run.status for run in runs.values()} == {"STOPPED"}, "a run did not end"
    assert set(storm.runs) <= runs.keys(), "a start was lost"
    assert began.keys() <= runs.keys(), "a task ran of which the store knows nothing"
    assert max(began.values()) == 1, "a run was started twice"
    for run in runs.values():
        if run.exit_code == 0 and run.task != "insert":
            assert run.id in ended
            assert [line.text for line in backend.log([run.id])] == [f"line {n}" for n in range(1, 6)]
        elif run.exit_code is None:
            assert run.reason == LOST, run

    check_schedules(storm)
    keys = Counter(mark.name for mark in written if mark.what == "begin" and mark.name.startswith("in/"))
    arrivals = store.starts("trigger:arrival", limit=10**6)
    assert len({start.token for start in arrivals}) == len(arrivals) == len(storm.objects)
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
    """Every minute that went by has its start, once: what was missed is caught up."""
    store = storm.backend.store
    for name, record in store.schedules().items():
        starts = store.starts(f"schedule:{name}", outcome="started", limit=10**6)
        due = sorted(start.due_at for start in starts)
        gaps = {later - earlier for earlier, later in pairwise(due)}
        assert gaps <= {timedelta(minutes=1)}, (name, due)
        assert len({start.id for start in starts}) == len(due)
        if due:
            assert due[0] - record.first_seen <= timedelta(minutes=1)
        lost = record.decided_until - (due[-1] if due else record.first_seen)
        assert lost < timedelta(minutes=1), (name, lost)
    print(f"{len(store.starts(outcome='started', limit=10**6))} starts by schedules and objects")


def check_history(backend: LocalBackend, id: str) -> None:
    """The history is whole, tells each run once, and leads a replay to the same end."""
    history = backend.store.events(id)
    assert [event.id for event in history] == list(range(1, len(history) + 1))
    kinds = Counter(event.type for event in history)
    runs = backend.runs(execution=id, limit=10**6)
    assert kinds["TaskScheduled"] == len(runs)
    assert kinds["TaskSucceeded"] == sum(run.exit_code == 0 for run in runs) == 6
    again = Execution.replay(backend.store.definition(id), history, context=ContextInfo())
    assert (again.status, again.output) == ("SUCCEEDED", backend.execution(id).output)


def check_database(storm: Storm, succeeded: set[str]) -> None:
    """What tasks committed is there, each run once."""
    server = storm.database
    server.start()
    try:
        with psycopg.connect(server.conninfo("mixed")) as db:
            there = [row[0] for row in db.execute("SELECT run FROM done")] if succeeded else []
    finally:
        server.stop()
    assert len(set(there)) == len(there)
    assert succeeded <= set(there), "a task that succeeded has left nothing behind"
    print(f"{len(there)} rows in the database of {len(succeeded)} runs that succeeded")


def check_growth(storm: Storm) -> None:
    """While the engine was left alone, its memory and its open files stayed flat."""
    if len(storm.memory) < 4:
        return
    quarter = len(storm.memory) // 4
    first, last = max(storm.memory[:quarter]), max(storm.memory[-quarter:])
    print(f"memory {first / 1e6:.0f} → {last / 1e6:.0f} MB, files {storm.files[0]:.0f} → {storm.files[-1]:.0f}")
    assert last - first < GROWTH
    assert storm.files[-1] <= max(storm.files[: quarter * 2])
