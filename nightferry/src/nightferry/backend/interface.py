"""The one interface of every place where tasks run: this machine's engine, or an environment on AWS.

The command line and the dashboard know only this. A run is one execution of a task; an execution is one of a workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from nightferry.contract import ExitCode
from nightferry.errors import NightferryError

RunStatus = Literal[
    "QUEUED",  # written down, and nothing works on it yet; all others are those of ECS
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
]
ExecutionStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]


class Unreachable(NightferryError):
    """A place cannot be asked just now: what runs there goes on, and asking again may help."""

    exit_code = ExitCode.REFUSED


class CredentialsExpired(Unreachable):
    """The place does not know us any more. Renew the credentials; ``renewable`` says whether this process would see it.

    Credentials in environment variables stay what they are for as long as the process lives.
    """

    def __init__(self, message: str, *, renewable: bool) -> None:
        super().__init__(message)
        self.renewable = renewable


class Refused(NightferryError):
    """The place answered, and refused. The message says what was asked, what it answered, and what to check."""

    exit_code = ExitCode.REFUSED


class CannotRedrive(NightferryError):
    """The execution cannot be started again from the state that failed; the message has the reason and the fix."""


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
class TaskRun:
    """One run of a task. ``exit_code`` is None while it runs and if it never started; ``reason`` is why it stopped.

    ``stop_code`` is ECS's word for how it came to stop. ``links`` are places to look at in a browser, by name.
    """

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
    stop_code: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Return True if it ended with exit code 0."""
        return self.status == "STOPPED" and self.exit_code == 0


@dataclass(frozen=True)
class WorkflowExecution:
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
class StateExecution:
    """One pass of an execution through a state: when, how it ended, and the runs that it started.

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
    """A line that a run wrote; ``position`` names it among the lines of a backend and orders them."""

    position: int
    run: str
    time: datetime
    text: str


class LogReader(Protocol):
    """Gives every line once, however often it is asked."""

    def new(self, runs: Sequence[str]) -> Iterator[LogLine]:
        """The lines of these runs that it has not given yet, in order."""
        ...

    def is_drained(self, run: str) -> bool:
        """Whether a run that has stopped will have no further lines, as far as that can be known."""
        ...


class Backend(Protocol):
    """What can be done with tasks and workflows, wherever they run.

    Any method raises :class:`Unreachable` where the place cannot be asked and :class:`Refused` where it says no.
    """

    @property
    def outlives_client(self) -> bool:
        """Whether what runs goes on when nobody watches it."""
        ...

    @property
    def interval(self) -> tuple[float, float]:
        """Seconds between two looks: while there is news, and at most, when nothing happens for long."""
        ...

    def run_task(self, request: RunRequest) -> str:
        """Ask for a run; answers its id. It starts as soon as something works on it."""
        ...

    def request(self, request: RunRequest) -> Any:
        """What :meth:`run_task` would ask for, checked in the same way, as JSON; nothing is started."""
        ...

    def start_workflow(self, workflow: str, input: Any) -> str:
        """Ask for an execution; answers its id: that of the open one where the workflow's overlap says so."""
        ...

    def redrive(self, id: str, *, dry_run: bool = False) -> str:
        """Start a failed execution again from the state that failed; answers its id. ``dry_run``: only if it could be.

        Asking twice starts it once. Raises UnknownName, and a NightferryError that says why it cannot be.
        """
        ...

    def stop(self, id: str, reason: str) -> None:
        """Ask a run or execution to stop."""
        ...

    def drive(self, poll: Callable[[], bool], report: Callable[[str], None]) -> None:
        """See that what is open goes on, calling ``look`` several times a second until it answers False.

        Where work goes on beyond that, ``tell`` is called with a sentence. What ``look`` raises ends it at once.
        """
        ...

    def detach(self) -> None:
        """See that what was asked for goes on without this process."""
        ...

    def run(self, id: str) -> TaskRun:
        """A run by its id or the unambiguous beginning of it; raises UnknownName."""
        ...

    def execution(self, id: str) -> WorkflowExecution:
        """An execution by its id or the unambiguous beginning of it; raises UnknownName."""
        ...

    def runs(self, *, task: str | None = None, execution: str | None = None, limit: int = 20) -> list[TaskRun]:
        """Runs, newest first."""
        ...

    def executions(self, *, workflow: str | None = None, limit: int = 20) -> list[WorkflowExecution]:
        """Executions, newest first."""
        ...

    def state_history(self, execution: str) -> list[StateExecution]:
        """The states that an execution visited, in the order in which it entered them."""
        ...

    def log(self, runs: Sequence[str]) -> Iterator[LogLine]:
        """All lines of these runs so far, in order."""
        ...

    def log_reader(self, since: datetime | None = None) -> LogReader:
        """A reader of the lines that runs wrote, from ``since`` on, and go on writing."""
        ...

    def troubleshooting(self, run: TaskRun) -> list[str]:
        """What to check about a run that did not start, a sentence each."""
        ...
