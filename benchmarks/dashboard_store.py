"""A project with a large store: 100,000 runs, 10,000 executions and 1,000,000 lines of 90 days.

The rows are written directly, because runs that are really started would take hours. They have the form of those that
the engine writes; one execution is really run, and its history serves for all.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.store.times import format_time

RUNS = 100_000
EXECUTIONS = 10_000
LINES = 1_000_000
LONG_LOG = 100_000  # lines of one run
TASKS = 10
WORKFLOWS = 4
DAYS = 89
RECENT_RUN = f"{RUNS - 1:032x}"
LONG_RUN = f"{RUNS - 2:032x}"
EXECUTION = f"w0-{EXECUTIONS - 4:08}"

_CATALOG = """
from pydantic import BaseModel
from nightferry import Catalog, Image
from nightferry.states.builder import RunTask, Steps

class Settings(BaseModel):
    \"\"\"The settings of a task.\"\"\"
    file: str = ""

catalog = Catalog("bench", image=Image("bench"))
tasks = [catalog.task(f"task-{n}", config=Settings, command=["true"], accepts_args=True) for n in range(10)]
for n in range(4):
    catalog.workflow(f"w{n}", Steps(*(RunTask(task) for task in tasks[n:n + 3])))
catalog.schedule("each-minute", tasks[0], "cron(* * * * ? *)")
catalog.schedule("nightly", catalog.workflows["w0"], "cron(0 2 * * ? *)", timezone="America/New_York")
"""

_ENVIRONMENT = """
backend = "local"
[engine]
keep_days = 3650
keep_log_days = 3650
keep_runs = 10000000
keep_executions = 1000000
"""


def make_project(root: Path) -> Project:
    """Write the project and its store, and return the project."""
    (root / "environments").mkdir(parents=True)
    (root / "pyproject.toml").write_text('[tool.nightferry]\ncatalog = "bench_catalog:catalog"\n')
    (root / "bench_catalog.py").write_text(_CATALOG)
    (root / "environments" / "local.toml").write_text(_ENVIRONMENT)
    project = Project.find(root)
    backend = LocalBackend(project, project.environment("local"))
    sample = backend.start_workflow("w0", {})
    asyncio.run(backend.work(lambda: not backend.store.has_open_work()))
    with sqlite3.connect(backend.store.file) as db:
        db.execute("PRAGMA synchronous = OFF")
        begin = datetime.now(UTC) - timedelta(days=DAYS)
        _add_executions(db, begin, sample)
        _add_runs(db, begin)
        _add_lines(db, begin)
        db.execute("UPDATE schedule SET decided_until = ?", (format_time(datetime.now(UTC)),))
    db.close()
    backend.store.close()
    return project


def _add_executions(db: sqlite3.Connection, begin: datetime, sample: str) -> None:
    """Add executions with the definition and the history of the sample. Each 50th failed."""
    definition = db.execute("SELECT definition FROM execution WHERE id = ?", (sample,)).fetchone()[0]
    events = db.execute("SELECT sequence, event FROM event WHERE execution = ?", (sample,)).fetchall()
    step = timedelta(days=DAYS) / EXECUTIONS
    ids = [f"w{number % WORKFLOWS}-{number:08}" for number in range(EXECUTIONS)]
    db.executemany(
        "INSERT INTO execution (id, workflow, definition, input, status, output, error, cause, started_at, stopped_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                id, id[:2], definition, json.dumps({"file": f"file-{number}.txt"}),
                *(("FAILED", None, "States.TaskFailed", "exit code 1") if number % 50 == 49 else
                  ("SUCCEEDED", "{}", None, None)),
                format_time(begin + number * step), format_time(begin + number * step + timedelta(minutes=5)),
            )
            for number, id in enumerate(ids)
        ),
    )  # fmt: skip
    db.executemany(
        "INSERT INTO event (execution, sequence, event) VALUES (?, ?, ?)",
        ((id, sequence, event) for id in ids for sequence, event in events),
    )


def _add_runs(db: sqlite3.Connection, begin: datetime) -> None:
    """Add runs; a third belongs to executions, and each 40th failed."""
    step = timedelta(days=DAYS) / RUNS
    rows = []
    for number in range(RUNS):
        created = begin + number * step
        failed = number % 40 == 39
        part_of = number * EXECUTIONS // RUNS if number % 3 == 0 else None
        rows.append(
            (
                f"{number:032x}", f"task-{number % TASKS}", "STOPPED", "[]", json.dumps({"FILE": f"file-{number}.txt"}),
                "schedule:nightly", None if part_of is None else f"w{part_of % WORKFLOWS}-{part_of:08}",
                format_time(created), format_time(created + timedelta(seconds=1)),
                format_time(created + timedelta(seconds=30 + number % 600)), int(failed), "EssentialContainerExited",
                "Essential container in task exited",
            )
        )  # fmt: skip
    db.executemany(
        "INSERT INTO run (id, task, status, command, environment, started_by, execution, created_at, started_at,"
        " stopped_at, exit_code, stop_code, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _add_lines(db: sqlite3.Connection, begin: datetime) -> None:
    """Add lines: a tenth belongs to one run, the others to all."""
    level = {"INFO": 1, "WARNING": 2, "ERROR": 3}
    step = timedelta(days=DAYS) / RUNS
    each = (LINES - LONG_LOG) // RUNS
    names = ("INFO", "INFO", "WARNING", "INFO", "ERROR")
    runs = itertools.chain(
        (number for number in range(RUNS) for _ in range(each)), itertools.repeat(RUNS - 2, LONG_LOG)
    )
    db.executemany(
        "INSERT INTO log_line (run, time, text, level) VALUES (?, ?, ?, ?)",
        (
            (
                f"{run:032x}", format_time(begin + run * step + timedelta(seconds=number % 30)),
                json.dumps({
                    "time": "2026-11-30T01:00:00.000+00:00", "level": names[number % 5], "logger": "bench",
                    "message": f"Row {number} was read.", "rows": number,
                }),
                level[names[number % 5]],
            )
            for number, run in enumerate(runs)
        ),
    )  # fmt: skip
