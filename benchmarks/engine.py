"""The durable engine: states per second with all events on disk, and its overhead at the start of a process.

Each of the three cases has a peer that is measured in the same run:

- a chain of 1,000 Pass states, which have no external effect, so that all events are one commit: against one insert of
  the same events into a bare SQLite file;
- a chain of 200 notifications, each of which must be on disk before it is sent and before the next one starts: against
  the same number of bare commits of one row;
- the start and end of a task through the store and launcher: against the same process, which this program starts and
  waits for without the engine. The limit is that of ``python -c pass``, the shortest program in the language of the
  jobs. ``true`` shows what the engine adds in full: it takes less time than the start of any supervisor.

A number on the command line is the number of starts, for a quick check: ``python -m benchmarks.engine 3``.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.judge import Limit, Ratio, judge
from nightferry import Catalog, Image
from nightferry.environments.environment import Environment
from nightferry.local.engine.executor import Executor
from nightferry.local.engine.launcher import Launcher
from nightferry.local.integrations import Integrations
from nightferry.local.services.services import Services
from nightferry.local.store import RunRecord, Store
from nightferry.states.builder import PUBLISH

RUNS = 5
PASSES = 1000
NOTIFICATIONS = 200
STARTS = 20
START_LIMIT = 3.0
"""The longest start of a task by the engine, as a multiple of the same process without it."""
COMMITS_EACH = 1  # per notification: the commit has the result of the last one and the request of the next one


class NoSettings(BaseModel):
    """No settings."""


def main(starts: int = STARTS) -> None:
    """Print the table. Exit with 1 if the start of a task misses its limit."""
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as name:
        folder = Path(name)
        passes, bare_passes = _measure_chain(folder, "passes", {"Type": "Pass"}, PASSES, _insert)
        print(
            f"Pass chain     {PASSES / passes:9,.0f} durable states/s   {bare_passes / passes:5.2f} times the speed of"
            " a bare insert of its events"
        )
        publish = {"Type": "Task", "Resource": PUBLISH, "Parameters": {"TopicArn": "t", "Message": "m"}}
        notifications, bare_commits = _measure_chain(
            folder, "notifications", publish, NOTIFICATIONS, lambda db, _: _commit(db)
        )
        print(
            f"Notifications  {NOTIFICATIONS / notifications:9,.0f} durable states/s  "
            f" {bare_commits / notifications:5.2f} times the speed of {COMMITS_EACH} bare commit each"
        )
        figures: list[Ratio | Limit] = [
            Ratio("durable Pass states / bare insert of their events", bare_passes / passes),
            Ratio("durable notifications / bare commits", bare_commits / notifications),
        ]
        for label, command, limit in (
            ("python -c pass", [sys.executable, "-c", "pass"], START_LIMIT),
            ("true", ["true"], None),
        ):
            engine, bare = asyncio.run(_measure_starts(folder / label.replace(" ", "-"), command, starts))
            print(
                f"Start {label:14} {engine * 1000:9.1f} ms by the engine, {bare * 1000:.1f} ms bare: "
                f"{engine / bare:.2f} times, {(engine - bare) * 1000:.1f} ms more"
            )
            figures.append(Limit(f"start of the task {label} / the same process", engine / bare, limit, "times"))
    judge(*figures)


def _measure_chain(
    folder: Path, name: str, state: dict[str, Any], length: int, peer: Callable[[sqlite3.Connection, list[str]], None]
) -> tuple[float, float]:
    """Return the median seconds of the engine and of its peer, which run alternately."""
    states = {f"s{n}": {**state, "Next": f"s{n + 1}"} for n in range(1, length)} | {
        f"s{length}": {**state, "End": True}
    }
    definition = {"StartAt": "s1", "States": states}
    store = Store(folder / name / "engine.sqlite")
    catalog = Catalog("bench", image=Image("bench"))
    bare = sqlite3.connect(folder / name / "bare.sqlite", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, event TEXT)")
    engine_times, bare_times = [], []
    for n in range(RUNS):
        id = f"{name}-{n}"
        store.add_execution(id, name, definition, {})
        [record] = store.open_executions()
        started = time.perf_counter()
        resources = Integrations(store, catalog, folder / name, resolve=dict, launch=_do_nothing, stop=_do_nothing)
        with ThreadPoolExecutor(1) as threads:
            asyncio.run(Executor(store, record, resources, threads, catalog.privacy, asyncio.Lock()).run())
        engine_times.append(time.perf_counter() - started)
        ended = store.execution(id)
        assert ended is not None
        assert ended.status == "SUCCEEDED"
        events = [json.dumps(event.to_json()) for event in store.events(id)]
        started = time.perf_counter()
        peer(bare, events)
        bare_times.append(time.perf_counter() - started)
    store.close()
    bare.close()
    return statistics.median(engine_times), statistics.median(bare_times)


def _do_nothing(*_: object) -> None:
    """Do nothing: this benchmark runs no task."""


def _insert(db: sqlite3.Connection, events: list[str]) -> None:
    db.execute("BEGIN")
    db.executemany("INSERT INTO event (event) VALUES (?)", ((event,) for event in events))
    db.execute("COMMIT")


def _commit(db: sqlite3.Connection) -> None:
    for _ in range(NOTIFICATIONS * COMMITS_EACH):
        db.execute("INSERT INTO event (event) VALUES ('one')")


async def _measure_starts(state: Path, command: list[str], starts: int) -> tuple[float, float]:
    """Return the median seconds of a task in the engine and of the bare process, which run alternately."""
    catalog = Catalog("bench", image=Image("bench"))
    catalog.task("task", config=NoSettings, command=command)
    environment = Environment("local", "local", {}, Path("environments/local.toml"))
    store = Store(state / "engine.sqlite")
    launcher = Launcher(store, catalog, environment, state, Services(catalog, environment, state), _do_nothing)
    engine_times, bare_times = [], []
    for n in range(starts):
        started = time.perf_counter()
        store.add_run(f"run-{n}", "task", [], {})
        await launcher.run(_record(store, f"run-{n}"))
        engine_times.append(time.perf_counter() - started)
        assert _record(store, f"run-{n}").run.exit_code == 0
        started = time.perf_counter()
        process = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE)
        assert process.returncode == 0
        bare_times.append(time.perf_counter() - started)
    launcher.close()
    store.close()
    return statistics.median(engine_times), statistics.median(bare_times)


def _record(store: Store, id: str) -> RunRecord:
    record = store.run(id)
    assert record is not None
    return record


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
