"""A driver of executions that works like a durable executor: it stores events, runs commands, delivers outcomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from nightferry.states import (
    Execution,
    HistoryEvent,
    Outcome,
    StartTask,
    TaskFailed,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
)

START = datetime(2026, 11, 24, tzinfo=UTC)


def make_outcome(command: StartTask) -> Outcome | None:
    """Return the outcome of a task of :mod:`definitions`. It depends only on the token, also in a resumed run."""
    match command.resource.rpartition(":")[2]:
        case "boom":
            return TaskFailed("Boom", "as configured")
        case "flaky":
            return TaskFailed("Boom") if int(command.token, 16) % 2 else TaskSucceeded({"x": 1})
        case "slow":
            return None
        case _:
            return TaskSucceeded({"token": command.token[:4]})


def drive(
    execution: Execution, seen: Callable[[Execution], None] = lambda _: None, *, order: Random | None = None
) -> Execution:
    """Run an execution to its end. ``seen`` is called after each step, once its events are stored.

    Outcomes are delivered in the order of the commands, or in an order shuffled with ``order``.
    """
    now = execution.now
    resumed = [pending.command for pending in execution.pending_tasks if not pending.started]
    running = [pending.command for pending in execution.pending_tasks if pending.started]
    while True:
        step = execution.advance(now)
        seen(execution)
        if execution.ended:
            return execution
        commands = resumed + [command for command in step.commands if isinstance(command, StartTask)]
        if order is not None:
            order.shuffle(commands)
        for command in running:
            _finish(execution, command, now)
        for command in commands:
            if execution.deliver(command.token, TaskStarted(), now):
                _finish(execution, command, now)
        if not (commands or running):
            assert execution.next_wakeup is not None, "the execution is neither ended nor waiting"
            now = max(now, execution.next_wakeup)
        resumed, running = [], []


def _finish(execution: Execution, command: StartTask, now: datetime) -> None:
    result = make_outcome(command)
    if result is None:
        return
    submitted = any(pending.token == command.token and pending.submitted for pending in execution.pending_tasks)
    if command.resource.endswith(".sync") and not submitted:
        execution.deliver(command.token, TaskSubmitted({"id": 1}), now)
    execution.deliver(command.token, result, now)


def to_json(events: list[HistoryEvent]) -> list[dict[str, Any]]:
    """Return events as JSON for comparisons."""
    return [event.to_json() for event in events]
