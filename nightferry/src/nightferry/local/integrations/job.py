"""What a resource gets to do, and what a resource is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from nightferry.states.machine.commands import Outcome, StartTask, TaskFailed, TaskStarted, TaskSubmitted


@dataclass(frozen=True)
class Job:
    """One Task state's work. ``started`` and ``submitted`` are what the execution's history tells of it already."""

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
        """The state's parameters; resources that take them were asked only if they are an object."""
        parameters: dict[str, Any] = self.command.parameters
        return parameters

    def report(self, outcome: Outcome) -> None:
        """Tell the execution what came of it, if its history does not have that yet."""
        match outcome:
            case TaskStarted() if self.started:
                return
            case TaskSubmitted() if self.submitted:
                return
        self.deliver(self.token, outcome)

    def refuse(self, error: str, cause: str) -> None:
        """Tell that it could not even begin."""
        self.deliver(self.token, TaskFailed(error, cause, "" if self.started else "Start"))


class Background:
    """What goes on for jobs after they were begun; by their tokens it can be cancelled."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        """Go on with ``work``; an error of its own fails the job, as nothing else would end it."""

        async def watched() -> None:
            try:
                await work
            except Exception as error:
                job.report(
                    TaskFailed("States.TaskFailed", f"The engine could not carry it out ({type(error).__name__}).")
                )
            finally:
                self._tasks.pop(job.token, None)

        self._tasks[job.token] = asyncio.create_task(watched())

    def cancel(self, token: str) -> None:
        """End what goes on for a job."""
        if (task := self._tasks.get(token)) is not None:
            task.cancel()

    async def close(self) -> None:
        """End all of it."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Integration(Protocol):
    """Carries out jobs of its kind."""

    async def begin(self, job: Job) -> None:
        """Begin the job, or take it up where its token shows that it was begun; end soon, and tell what comes later."""
        ...

    def cancel(self, token: str, reason: str) -> None:
        """Nobody waits for the job any more."""
        ...
