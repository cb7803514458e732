"""The one interface of every place where tasks run: this machine's engine, or an environment on AWS.

The command line and the dashboard know only this. A run is one execution of a task; an execution is one of a workflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

RunStatus = Literal["QUEUED", "PENDING", "RUNNING", "STOPPED"]
ExecutionStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]


@dataclass(frozen=True)
class RunRequest:
    """What to run. ``command`` None is the task's own; ``env`` adds to the task's; sizes None are the task's."""

    task: str
    command: Sequence[str] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cpu: int | None = None
    memory: int | None = None
    started_by: str = ""


@dataclass(frozen=True)
class Run:
    """One run of a task. ``exit_code`` is None while it runs and if it never started; ``reason`` is why it stopped."""

    id: str
    task: str
    status: RunStatus
    command: tuple[str, ...]
    started_by: str
    execution: str | None
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    exit_code: int | None
    reason: str | None

    @property
    def succeeded(self) -> bool:
        return self.status == "STOPPED" and self.exit_code == 0


@dataclass(frozen=True)
class Execution:
    """One execution of a workflow. ``interrupted``: it is open, and nothing works on it."""

    id: str
    workflow: str
    status: ExecutionStatus
    started_at: datetime
    stopped_at: datetime | None
    input: Any
    output: Any
    error: str | None
    cause: str | None
    interrupted: bool = False


@dataclass(frozen=True)
class StateVisit:
    """One visit of an execution to a state: when, how it ended, and the runs that it started.

    ``depth`` counts the Maps and Parallels around the state; ``attempts`` is 1 without a retry, 0 for other states
    than tasks.
    """

    name: str
    type: str
    entered_at: datetime
    exited_at: datetime | None
    failed: bool
    error: str | None
    attempts: int
    depth: int
    runs: tuple[str, ...]


@dataclass(frozen=True)
class LogLine:
    """A line that a run wrote; ``position`` orders the lines of a backend and is where to go on from."""

    position: int
    run: str
    time: datetime
    text: str


class Backend(Protocol):
    """What can be done with tasks and workflows, wherever they run."""

    def run_task(self, request: RunRequest) -> str:
        """Ask for a run; answers its id. It starts as soon as something works on it."""
        ...

    def start_workflow(self, workflow: str, input: Any) -> str:
        """Ask for an execution; answers its id: that of the open one where the workflow's overlap says so."""
        ...

    def stop(self, id: str, reason: str) -> None:
        """Ask a run or execution to stop."""
        ...

    def run(self, id: str) -> Run:
        """A run by its id or the unambiguous beginning of it; raises UnknownName."""
        ...

    def execution(self, id: str) -> Execution:
        """An execution by its id or the unambiguous beginning of it; raises UnknownName."""
        ...

    def runs(self, *, task: str | None = None, execution: str | None = None, limit: int = 20) -> list[Run]:
        """Runs, newest first."""
        ...

    def executions(self, *, workflow: str | None = None, limit: int = 20) -> list[Execution]:
        """Executions, newest first."""
        ...

    def visits(self, execution: str) -> list[StateVisit]:
        """The states that an execution visited, in the order in which it entered them."""
        ...

    def log(self, runs: Sequence[str], after: int = 0) -> Iterator[LogLine]:
        """The lines of these runs behind a position, in order."""
        ...
