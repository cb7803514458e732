"""The cases of :mod:`benchmarks.scale`, each of which runs in a process of its own and prints its figures as JSON.

``python -m benchmarks.scale_cases CASE SIZE``
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nightferry import Catalog, Image
from nightferry.environments.engine_settings import EngineSettings
from nightferry.environments.environment import Environment
from nightferry.local.engine.engine import Engine
from nightferry.local.engine.executor import Executor
from nightferry.local.integrations import Integrations
from nightferry.local.runs.starts import Starter
from nightferry.local.services.services import Services
from nightferry.local.store import RunRecord, Store
from nightferry.local.triggers.object_triggers import ObjectTriggers
from nightferry.local.triggers.scheduler import Scheduler
from nightferry.states.builder import PUBLISH

STARTS = 150
CONCURRENCY = 4
EXECUTIONS = 100
IDLE_SECONDS = 10.0  # more than the pause after a sweep of 100,000 objects
SWEEPS = 10
CHILDREN = 100

Figures = dict[str, float]


class NoSettings(BaseModel):
    """No settings."""


class Bench:
    """A catalog with one task, and a folder for the engine's state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = Catalog("bench", image=Image("bench"))
        self.task = self.catalog.task("task", config=NoSettings, command=["true"])
        settings = EngineSettings(concurrency=CONCURRENCY, executions=EXECUTIONS)
        self.environment = Environment("local", "local", {}, Path("environments/local.toml"), engine=settings)
        self.services = Services(self.catalog, self.environment, folder)

    def open_store(self) -> Store:
        """Open the engine's store."""
        return Store(self.folder / "engine.sqlite")

    def create_engine(self) -> Engine:
        """Create the engine without other components."""
        return Engine(self.catalog, self.environment, self.folder, self.services)

    def create_starter(self, store: Store) -> Starter:
        """Create what schedules and triggers start their targets with."""
        return Starter(store, self.catalog, self.services.resolve)


def run_queue(bench: Bench, size: int) -> Figures:
    """Work off the first :data:`STARTS` of ``size`` queued runs, or all of them if :data:`ALL` is set."""
    wanted = size if os.environ.get(ALL) else STARTS
    engine = bench.create_engine()
    with engine.store.transaction():
        for n in range(size):
            engine.store.add_run(f"run-{n}", "task", [], {})
    settle(engine.store)
    ended = 0

    def count(_: RunRecord) -> None:
        nonlocal ended
        ended += 1
        if ended == wanted:
            engine.drain()

    engine.run_ended = count
    seconds = measure(lambda: asyncio.run(engine.work(lambda: True)))
    return {"seconds": seconds / ended, "memory": read_memory("VmHWM")}


ALL = "NIGHTFERRY_BENCHMARK_ALL_STARTS"


def run_executions(bench: Bench, size: int) -> Figures:
    """Work off ``size`` waiting executions of one Pass state."""
    engine = bench.create_engine()
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    with engine.store.transaction():
        for n in range(size):
            engine.store.add_execution(f"e-{n}", "workflow", definition, {})
    settle(engine.store)
    seconds = measure(lambda: asyncio.run(engine.work(lambda: True)))
    return {"seconds": seconds / size, "memory": read_memory("VmHWM")}


def watch_objects(bench: Bench, size: int) -> Figures:
    """Watch a folder of ``size`` objects, and start a task for a new one."""
    trigger_bucket = bench.catalog.bucket("inbox")
    bench.catalog.object_trigger("new", bench.task, bucket=trigger_bucket, prefix="in/")
    root = bench.folder / "buckets" / "inbox" / "in"
    root.mkdir(parents=True)
    for n in range(size):
        (root / f"file-{n:07}.csv").touch()
    store = bench.open_store()
    before = read_memory("VmRSS")
    began = time.perf_counter()
    folder = bench.services.resolve.get_bucket_folder
    triggers = ObjectTriggers(store, bench.create_starter(store), bench.catalog, bench.environment, folder)
    registered = time.perf_counter() - began
    return {"register": registered / size, **asyncio.run(_watch(triggers, store, root, size, before))}


async def _watch(triggers: ObjectTriggers, store: Store, root: Path, size: int, before: float) -> Figures:
    await triggers.poll("new", sweep=True)
    began = time.process_time()
    await triggers.poll("new", sweep=True)
    sweep = time.process_time() - began
    memory = read_memory("VmRSS")
    for _ in range(SWEEPS):
        await triggers.poll("new", sweep=True)
    grown = read_memory("VmRSS")
    watching = asyncio.create_task(triggers.run())
    await asyncio.sleep(1.0)
    began, idle = time.perf_counter(), time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    processor = (time.process_time() - idle) / (time.perf_counter() - began)
    (root / "new.csv").touch()
    began = time.perf_counter()
    while not store.has_open_work():
        await asyncio.sleep(0.02)
    started = time.perf_counter() - began
    watching.cancel()
    return {
        "seconds": sweep / size,
        "start": started,
        "idle": processor,
        "memory": (memory - before) * 1024 / size,
        "growth": grown / memory,
    }


def run_schedules(bench: Bench, size: int) -> Figures:
    """Load ``size`` hourly schedules, wait for them, and make their starts, all of which are due at once."""
    for n in range(size):
        bench.catalog.schedule(f"s{n}", bench.task, "cron(0 * * * ? *)")
    store = bench.open_store()
    clock = [datetime(2026, 3, 1, 12, 30, tzinfo=UTC)]
    scheduler = Scheduler(store, bench.create_starter(store), bench.catalog, bench.environment, clock=lambda: clock[0])
    load = measure(scheduler.tick)
    idle = measure(lambda: [scheduler.tick() for _ in range(100)]) / 100
    clock[0] = datetime(2026, 3, 1, 13, tzinfo=UTC)
    ticks: list[float] = []
    more = [True]
    while more[-1]:
        ticks.append(measure(lambda: more.append(scheduler.tick())))
    assert sum(store.queue_depths().values()) == size
    return {
        "load": load / size,
        "idle": idle / 0.25,  # the scheduler reads the clock four times per second
        "seconds": sum(ticks) / size,
        "late": sum(ticks) + sum(ticks[:-1]),  # the engine pauses after a tick for as long as the tick took
        "longest": max(ticks),
        "memory": read_memory("VmHWM"),
    }


def run_map(bench: Bench, size: int) -> Figures:
    """Run a distributed Map of ``size`` items, each of which publishes a notification."""
    publish = {"Type": "Task", "Resource": PUBLISH, "Parameters": {"TopicArn": "t", "Message": "m"}, "End": True}
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Publish",
        "States": {"Publish": publish},
    }
    state = {"Type": "Map", "MaxConcurrency": CHILDREN, "ItemProcessor": processor, "ResultPath": None, "End": True}
    return _execute(bench, state, size)


def run_inline_map(bench: Bench, size: int) -> Figures:
    """Run an inline Map of ``size`` items with one Pass state each."""
    processor = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    return _execute(bench, {"Type": "Map", "ItemProcessor": processor, "ResultPath": None, "End": True}, size)


def _execute(bench: Bench, state: dict[str, Any], size: int) -> Figures:
    store = bench.open_store()
    store.add_execution("e", "workflow", {"StartAt": "Map", "States": {"Map": state}}, list(range(size)))
    record = store.execution("e")
    assert record is not None
    resources = Integrations(
        store, bench.catalog, bench.folder, resolve=dict, launch=lambda _: None, stop=lambda _, __: None
    )
    with ThreadPoolExecutor(1) as threads:
        executor = Executor(store, record, resources, threads, bench.catalog.privacy, asyncio.Lock())
        seconds = measure(lambda: asyncio.run(executor.run()))
    memory = read_memory("VmHWM")
    ended = store.execution("e")
    assert ended is not None
    assert ended.status == "SUCCEEDED", ended
    history = sum(len(json.dumps(event.to_json())) for event in store.iterate_events("e"))
    return {"seconds": seconds / size, "memory": memory, "history": history / size}


def settle(store: Store) -> None:
    """Write the log of the store into its file, so that the measured commits do not."""
    with closing(sqlite3.connect(store.file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def measure(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def read_memory(name: str) -> float:
    """Return this process's memory in MB: VmRSS is the present one, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


CASES: dict[str, Callable[[Bench, int], Figures]] = {
    "queue": run_queue,
    "executions": run_executions,
    "objects": watch_objects,
    "schedules": run_schedules,
    "map": run_map,
    "inline map": run_inline_map,
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as name:
        sys.stdout.write(json.dumps(CASES[sys.argv[1]](Bench(Path(name)), int(sys.argv[2]))))
