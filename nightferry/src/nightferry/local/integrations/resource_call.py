"""The interface of resources, and their calls by Task states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from nightferry.states.machine.commands import Outcome, StartTask, TaskFailed, TaskStarted, TaskSubmitted


@dataclass(frozen=True)
class ResourceCall:
    """A call of a resource by a Task state. ``started`` and ``submitted``: the history has these events."""

    command: StartTask
    execution: str
    deliver: Callable[[str, Outcome], None]
    started: bool = False
    submitted: bool = False

    @property
    def token(self) -> str:
        """Return the token by which the execution recognizes the result."""
        return self.command.token

    @property
    def parameters(self) -> dict[str, Any]:
        """The state's parameters, which were checked to be an object for resources that use them."""
        parameters: dict[str, Any] = self.command.parameters
        return parameters

    def report(self, outcome: Outcome) -> None:
        """Report an outcome to the execution unless its history contains it."""
        match outcome:
            case TaskStarted() if self.started:
                return
            case TaskSubmitted() if self.submitted:
                return
        self.deliver(self.token, outcome)

    def refuse(self, error: str, cause: str) -> None:
        """Report that the call could not be started."""
        self.deliver(self.token, TaskFailed(error, cause, "" if self.started else "Start"))


class Background:
    """Background work for calls that have begun. It can be canceled by the call's token."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, call: ResourceCall, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in the background. An exception fails the call, which would never end otherwise."""

        async def watched() -> None:
            try:
                await work
            except Exception as error:
                call.report(TaskFailed("States.TaskFailed", f"Internal error of the engine ({type(error).__name__})."))
            finally:
                self._tasks.pop(call.token, None)

        self._tasks[call.token] = asyncio.create_task(watched())

    def cancel(self, token: str) -> None:
        """Cancel the work for a call."""
        if (task := self._tasks.get(token)) is not None:
            _cancel_once(task)

    async def close(self) -> None:
        """Cancel all work and wait for its end."""
        tasks = list(self._tasks.values())
        for task in tasks:
            _cancel_once(task)
        await asyncio.gather(*tasks, return_exceptions=True)


def _cancel_once(task: asyncio.Task[None]) -> None:
    """Cancel a task. A second cancellation would interrupt its wait for the process that it has just killed."""
    if not task.cancelling():
        task.cancel()


class ResourceHandler(Protocol):
    """A resource: it runs the calls of one kind."""

    async def begin(self, call: ResourceCall) -> None:
        """Begin the call, or resume it if its token shows that it has begun. Return soon; report later outcomes."""
        ...

    def cancel(self, token: str, reason: str) -> None:
        """Cancel the call. Its execution no longer waits for it."""
        ...
