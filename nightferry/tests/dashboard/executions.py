"""Executions with known histories in the store of a site: each is run by the interpreter, one step a second."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from nightferry.dashboard.site import Site
from nightferry.local.store import Store
from nightferry.local.store.times import format_time
from nightferry.states import (
    ContextInfo,
    Execution,
    StartTask,
    TaskFailed,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
)
from nightferry.states.builder import RUN_TASK

START = datetime(2026, 11, 24, 3, tzinfo=UTC)

Judge = Callable[[StartTask, int], int | None]
"""A function that returns the exit code of a task and of its attempt's number, or None for one that keeps running."""


def open_store(site: Site) -> Store:
    site.project.state.mkdir(parents=True, exist_ok=True)
    return Store(site.project.state / "engine.sqlite")


def run_state(**more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": RUN_TASK, "Parameters": {"TaskDefinition": "t"}, **more}


def record(
    site: Site,
    definition: dict[str, Any],
    judge: Judge = lambda command, number: 0,
    *,
    id: str = "0e0e0e0e",
    workflow: str = "fails",
    input: Any = None,
    seconds: float = 1,
    task: str = "three",
    steps: int = 1000,
    with_runs: bool = True,
) -> Execution:
    """Run an execution, and record it with its events and runs. Each step takes ``seconds``."""
    info = ContextInfo(execution_id=id, start_time=START)
    execution = Execution.start(definition, {} if input is None else input, context=info, now=START)
    now, number = START, 0
    runs: list[tuple[str, datetime, datetime | None, int | None]] = []
    for _ in range(steps):
        step = execution.advance(now)
        commands = [command for command in step.commands if isinstance(command, StartTask)]
        for command in commands:
            number += 1
            run = f"{id}{number:04x}"
            execution.deliver(command.token, TaskStarted(), now)
            arn = f"arn:aws:ecs:local:0:task/local/{run}"
            execution.deliver(command.token, TaskSubmitted({"Tasks": [{"TaskArn": arn}]}), now)
            code = judge(command, number)
            ended = now + timedelta(seconds=seconds)
            runs.append((run, now, None if code is None else ended, code))
            if code is not None:
                outcome = TaskFailed("States.TaskFailed", json.dumps({"code": code})) if code else TaskSucceeded({})
                execution.deliver(command.token, outcome, ended)
        now += timedelta(seconds=seconds)
        if execution.ended or (not commands and execution.next_wakeup is None):
            break
        now = max(now, execution.next_wakeup or now)
    save(site, execution, definition, input, id=id, workflow=workflow)
    if with_runs:
        _add_runs(site, runs, id, task)
    return execution


def save(site: Site, execution: Execution, definition: dict[str, Any], input: Any, *, id: str, workflow: str) -> None:
    """Record an execution with its events."""
    store = open_store(site)
    with store.transaction():
        store.add_execution(id, workflow, definition, {} if input is None else input)
        store.add_events(id, 0, execution.history)
        if execution.ended:
            store.mark_execution_ended(id, execution.status, execution.output, execution.error, execution.cause)
            ended = execution.history[-1].timestamp
            store._db.execute("UPDATE execution SET stopped_at = ? WHERE id = ?", (format_time(ended), id))
        store._db.execute("UPDATE execution SET started_at = ? WHERE id = ?", (format_time(START), id))
    store.close()


def _add_runs(
    site: Site, runs: list[tuple[str, datetime, datetime | None, int | None]], execution: str, task: str
) -> None:
    store = open_store(site)
    with store.transaction():
        for run, begun, ended, code in runs:
            store.add_run(run, task, [], {}, execution=execution)
            store._db.execute(
                "UPDATE run SET status = ?, exit_code = ?, created_at = ?, started_at = ?, stopped_at = ?,"
                " stop_code = 'EssentialContainerExited' WHERE id = ?",
                ("RUNNING" if ended is None else "STOPPED", code, format_time(begun), format_time(begun),
                 None if ended is None else format_time(ended), run),
            )  # fmt: skip
    store.close()
