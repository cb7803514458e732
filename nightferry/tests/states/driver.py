"""Drives an execution as a durable executor does: events written down first, then commands, then outcomes."""

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


def outcome(command: StartTask) -> Outcome | None:
    """What comes of a task of :mod:`definitions`: its token alone decides, in a resumed run too."""
    match command.resource.rpartition(":")[2]:
        case "boom":
            return TaskFailed("Boom", "as told")
        case "flaky":
            return TaskFailed("Boom") if int(command.token, 16) % 2 else TaskSucceeded({"x": 1})
        case "slow":
            return None
        case _:
            return TaskSucceeded({"token": command.token[:4]})


def drive(
    execution: Execution, seen: Callable[[Execution], None] = lambda _: None, *, order: Random | None = None
) -> Execution:
    """Drive to the end. ``seen`` is called after each step, with everything written down.

    Outcomes are delivered in the order of the commands, or as ``order`` shuffles them.
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
            assert execution.next_wakeup is not None, "it waits for nothing"
            now = max(now, execution.next_wakeup)
        resumed, running = [], []


def _finish(execution: Execution, command: StartTask, now: datetime) -> None:
    result = outcome(command)
    if result is None:
        return
    submitted = any(pending.token == command.token and pending.submitted for pending in execution.pending_tasks)
    if command.resource.endswith(".sync") and not submitted:
        execution.deliver(command.token, TaskSubmitted({"id": 1}), now)
    execution.deliver(command.token, result, now)


def told(events: list[HistoryEvent]) -> list[dict[str, Any]]:
    """Events as JSON, to compare them."""
    return [event.to_json() for event in events]
