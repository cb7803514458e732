"""A project on this machine, driven from Python: for demonstrations and tests of a whole system.

::

    with LocalProject.find() as local:
        local.write_secret("payments/key", key)
        local.start_services()
        local.run_task("db-migrate-up")
        ended = local.run_workflow("nightly", {}, Console())      # with the display of `nightferry start`
        psycopg.connect(host=local.address("database", "host"), dbname=local.address("database", "database"))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.interface import Backend
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.catalog.declarations import Secret
from nightferry.cli.terminal.follow import follow_execution
from nightferry.cli.terminal.lines import format_line
from nightferry.cli.terminal.watch import PollResult, Watcher
from nightferry.environments.project import Project
from nightferry.environments.state_folder import create_state_folder
from nightferry.local.backend import LocalBackend
from nightferry.local.engine import engine_lock
from nightferry.local.services import secrets
from nightferry.local.services.services import Services
from nightferry.presentation.durations import format_duration


class LocalProject:
    """A project in an environment on this machine. As a context manager, it stops the services that it started.

    Tasks, workflows and the object triggers of the catalog run only while a method waits for a run or execution.
    Ctrl-C stops that run or execution.
    """

    def __init__(self, project: Project, environment: str = "local") -> None:
        self._project = project
        self.state = create_state_folder(project.state)
        """The state directory, which exists."""
        self._environment = project.environment(environment)
        self.settings: Mapping[str, Any] = self._environment.settings
        """The settings of the environment, by name."""
        self._services = Services(project.catalog, self._environment, project.state)

    @classmethod
    def find(cls, start: Path | None = None) -> Self:
        """Return the project around the folder ``start``, else around the current folder."""
        return cls(Project.find(start))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._services.stop()

    @cached_property
    def backend(self) -> Backend:
        """The local backend, with the same interface as the backend on AWS."""
        return LocalBackend(self._project, self._environment, self._services, objects=True)

    @property
    def is_busy(self) -> bool:
        """True if another process runs tasks in the state directory. Its services stop when it exits."""
        return engine_lock.is_running(self.state)

    def start_services(self) -> None:
        """Start all services of the catalog. Raises ServiceFailed."""
        self._services.start()

    def address(self, service: str, attribute: str) -> str:
        """Return an attribute of a service's address, such as ``url``; a database has host, port, user and database."""
        return self._services.address(service, attribute)

    def secret(self, name: str) -> str | None:
        """Return the value of a secret, or None if this machine does not have it."""
        return secrets.read_values(self.state, {name: Secret(name, optional=True)}, "LocalProject.secret").get(name)

    def write_secret(self, name: str, value: str) -> None:
        """Store a secret, readable by this user only."""
        secrets.write(self.state, name, value)

    def run_task(self, task: str, env: Mapping[str, str] | None = None, *, started_by: str = "") -> TaskRun:
        """Run a task with ``env`` added to its own environment. Return the run when it has stopped."""
        id = self.backend.run_task(RunRequest(task, env=env or {}, started_by=started_by))
        return self.wait(lambda: self.backend.run(id))

    def run_workflow(self, workflow: str, input: Any, console: Console) -> WorkflowExecution:
        """Start a workflow, display its states on ``console`` until it has ended, and return the execution."""
        return follow_execution(self.backend, self.backend.start_workflow(workflow, input), console)

    def wait(self, find: Callable[[], TaskRun | None]) -> TaskRun:
        """Call ``find`` several times a second until the run that it returns has stopped, and return that run.

        ``find`` returns None while the run does not exist yet, for example before an object trigger has started it.
        """
        watcher = Watcher(self.backend, "")
        found: list[TaskRun] = []

        def poll() -> PollResult:
            if (run := find()) is not None:
                watcher.id = run.id
                found[:] = [run]
            return PollResult(has_new=False, ended=run is not None and run.status == "STOPPED")

        watcher.watch(poll)
        return found[0]

    def print_log(self, run: TaskRun, console: Console) -> None:
        """Print the lines that ``run`` has written."""
        for line in self.backend.log([run.id]):
            console.print(format_line(line.text, line.time), soft_wrap=True)


def time_taken(ended: TaskRun | WorkflowExecution) -> str:
    """Return the duration of a run or an execution that has ended, such as ``3 min 5 s``."""
    began = ended.created_at if isinstance(ended, TaskRun) else ended.started_at
    return format_duration(((ended.stopped_at or began) - began).total_seconds())
