"""The two places in which tasks run, with the same runs and executions in both.

Each place has, in the order of their requests: a run that succeeded, two that failed, one that is open, an execution
that failed and one that succeeded. The open run is the last one that was requested.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.session import Aws
from nightferry.backend.interface import Backend
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript
from tests.aws.project import make_aws_project

LINES = [f"line {number}" for number in range(1, 41)]
FAILED_CODE = 3


class Place(ABC):
    """A place with its backend. The IDs are those of what it has."""

    backend: Backend

    def fill(self) -> None:
        """Request everything, and wait until only the open run is left."""
        self.succeeded = self.backend.run_task(self.request("hello", "anna"))
        self.wait()
        self.failed = [self.backend.run_task(self.request("three", f"user {number}")) for number in range(2)]
        self.wait()
        self.failed_execution = self.execute("fails", {"key": "a"})
        self.succeeded_execution = self.execute("queued", {"key": "b"})
        self.open = self.backend.run_task(RunRequest("slow", started_by="anna"))

    @abstractmethod
    def request(self, task: str, started_by: str) -> RunRequest:
        """Return a request for a run that writes :data:`LINES`."""

    def execute(self, workflow: str, input: object) -> str:
        """Execute a workflow to its end, and return the execution's ID."""
        id = self.backend.start_workflow(workflow, input, "anna")
        self.wait()
        return id

    @abstractmethod
    def wait(self) -> None:
        """Wait until all that was requested has ended."""


class LocalPlace(Place):
    """The engine on this machine."""

    def __init__(self, project: Project) -> None:
        self._local = self.backend = LocalBackend(project, project.environment("local"))

    def request(self, task: str, started_by: str) -> RunRequest:
        """See :class:`Place`."""
        code = FAILED_CODE if task == "three" else 0
        return RunRequest(
            task, ("sh", "-c", f"printf 'line %s\\n' $(seq {len(LINES)}); exit {code}"), started_by=started_by
        )

    def wait(self) -> None:
        """See :class:`Place`."""
        asyncio.run(self._local.work(lambda: not self._local.store.has_open_work()))


class AwsPlace(Place):
    """AWS: moto with tasks on a fake Fargate."""

    def __init__(self, project: Project, fargate: FakeFargate, clock: FakeClock) -> None:
        environment = project.environment("test")
        assert environment.aws is not None
        aws = Aws(environment.aws.region, environment.aws.account, attempts=2)
        self.backend = AwsBackend(project, environment, clock=clock, aws=aws)
        self._clock = clock
        lines = [ScriptedLine(1 + number / 100, text) for number, text in enumerate(LINES)]
        fargate.script("hello", TaskScript(stopped=10, lines=lines))
        fargate.script("three", TaskScript(stopped=10, lines=lines, exit_code=FAILED_CODE))
        fargate.script("mark", TaskScript(stopped=10))
        fargate.script("slow", TaskScript(running=0, stopped=None))

    def request(self, task: str, started_by: str) -> RunRequest:
        """See :class:`Place`."""
        return RunRequest(task, started_by=started_by)

    def wait(self) -> None:
        """See :class:`Place`. The fake logs the end of a run at the next call."""
        for _ in range(100):
            self._clock.sleep(15)
            if not self.backend.runs(RunFilter(outcome="open")) and not self.backend.executions(
                ExecutionFilter(outcome="open")
            ):
                return
        raise AssertionError("The work has no end.")


@contextmanager
def open_place(name: str, folder: Path) -> Iterator[Place]:
    """Provide a place with its runs and executions."""
    project = Project.find(make_aws_project(folder / "a project"))
    if name == "local":
        place: Place = LocalPlace(project)
        place.fill()
        yield place
        return
    clock = FakeClock()
    with FakeFargate(project, "test", clock) as fargate, pytest.MonkeyPatch.context() as patch:
        for variable, value in fargate.variables.items():
            patch.setenv(variable, value)
        place = AwsPlace(project, fargate, clock)
        place.fill()
        yield place
