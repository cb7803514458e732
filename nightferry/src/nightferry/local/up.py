"""``nightferry up``: services, scheduler, triggers and engine in one process, until it receives a signal.

::

    lock ─► port ─► services ─► engine with its components ─► first signal: drain ─► services stopped
                                                              second signal: kill

While the engine drains, it starts nothing. Running tasks have ``drain_seconds`` to end before they are stopped. Queued
runs stay in the store for the next engine. Other commands find the lock taken and watch this engine.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import EngineBusy
from nightferry.http_server import Server, listen
from nightferry.local.engine import engine_lock
from nightferry.local.engine.components import Component
from nightferry.local.engine.engine import Engine
from nightferry.local.monitoring.changes import ChangeWatch
from nightferry.local.monitoring.failures import FailureLog
from nightferry.local.monitoring.health import Health
from nightferry.local.monitoring.metrics import Metrics
from nightferry.local.monitoring.notice_log import NoticeLog
from nightferry.local.monitoring.retention import Retention
from nightferry.local.monitoring.status_server import HOST, create_routes
from nightferry.local.monitoring.stored_results import remove_results
from nightferry.local.runs.starts import Starter
from nightferry.local.services.services import Services
from nightferry.local.store import RunRecord, Store
from nightferry.local.store.retrying import retry_while_locked
from nightferry.local.triggers.object_triggers import ObjectTriggers
from nightferry.local.triggers.scheduler import Scheduler

_STOP_REASON = "The engine was stopped."
_log = logging.getLogger("nightferry.engine")


@dataclass
class RunningEngine:
    """The running engine with its parts, for a screen or a dashboard."""

    project: Project
    environment: Environment
    address: str
    engine: Engine
    scheduler: Scheduler
    services: Services
    starter: Starter
    draining: bool = False

    @property
    def store(self) -> Store:
        """Return the engine's store."""
        return self.engine.store


CreateApp = Callable[[RunningEngine, Sequence[BaseRoute]], ASGIApp]


def create_components(up: RunningEngine) -> list[Component]:
    """Create the scheduler, the object triggers, and the rest. They end when the engine drains."""
    catalog, environment, bucket = up.project.catalog, up.environment, up.services.resolve.get_bucket_folder
    return [
        up.scheduler,
        ObjectTriggers(up.store, up.starter, catalog, environment, bucket),
        Retention(up.store, environment.engine, remove_results=lambda: remove_results(up.store, catalog, bucket)),
        ChangeWatch(up.project, environment),
        NoticeLog(up.store, environment),
    ]


@contextmanager
def hold_engine_lock(project: Project) -> Iterator[None]:
    """Hold the engine's lock on the project's state directory; raises EngineBusy."""
    with engine_lock.lock(project.state) as ours:
        if not ours:
            pid = engine_lock.read_engine_pid(project.state)
            holder = "Another process" if pid is None else f"Process {pid}"
            raise EngineBusy(
                f"{holder} is already running the engine for {project.state}. Stop it (kill -INT {pid or 'PID'}), or "
                "use another state directory (NIGHTFERRY_STATE). To list its runs: nightferry status"
            )
        yield


def run(
    project: Project,
    environment: Environment,
    port: int,
    create_app: CreateApp,
    watch: Callable[[RunningEngine], None] | None = None,
) -> bool:
    """Run the engine until SIGINT or SIGTERM; return True if a second signal killed it.

    ``create_app`` returns the application that the port serves. It has to include the routes, ``/health`` and
    ``/metrics``, and to check the requests to them. ``watch`` is called four times per second to refresh a screen.
    Raises EngineBusy and PortTaken.
    """
    with (
        hold_engine_lock(project),
        listen(HOST, port) as listener,
        Services(project.catalog, environment, project.state) as services,
    ):
        with _treat_sigterm_as_interrupt():
            services.start_available()
        return asyncio.run(_serve(project, environment, services, listener, create_app, watch))


async def _serve(
    project: Project,
    environment: Environment,
    services: Services,
    listener: socket.socket,
    create_app: CreateApp,
    watch: Callable[[RunningEngine], None] | None,
) -> bool:
    engine = Engine(project.catalog, environment, project.state, services)
    starter = Starter(engine.store, project.catalog, services.resolve)
    scheduler = Scheduler(engine.store, starter, project.catalog, environment)
    up = RunningEngine(
        project, environment, f"http://{HOST}:{listener.getsockname()[1]}", engine, scheduler, services, starter
    )
    metrics = Metrics(engine.store, project.catalog, scheduler, engine.count_running)
    health = Health(
        project.state, environment.engine, engine.store, services, scheduler, engine.find_problems, lambda: up.draining
    )
    failures = FailureLog(engine.store)

    def run_ended(record: RunRecord) -> None:
        metrics.run_ended(record)
        failures.run_ended(record)

    engine.run_ended, engine.notices.on_failure = run_ended, failures.execution_failed
    starter.on_start = metrics.start_decided
    engine.components = await retry_while_locked(lambda: create_components(up))
    web = Server(create_app(up, create_routes(health, metrics)), handle_signals=False)
    helpers = [await web.start(listener)]
    engine_lock.write_address(project.state, up.address)
    _log.info(
        "Engine started for %s: %s/health, %s/metrics.", project.state, up.address, up.address,
        extra={"event": "up", "environment": environment.name, "url": up.address},
    )  # fmt: skip
    work = asyncio.create_task(engine.work())
    if watch is not None:
        helpers.append(asyncio.create_task(_refresh_screen(up, watch)))
    stopping = _StopSignals(up, work)
    try:
        await work
        _log.info("Engine stopped. The next engine resumes open work.", extra={"event": "down"})
    except asyncio.CancelledError:
        if not stopping.killed:
            raise
        _log.warning("Engine killed. Its tasks were killed, too.", extra={"event": "killed"})
    finally:
        stopping.close()
        web.should_exit = True
        for task in helpers[1:]:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
    return stopping.killed


class _StopSignals:
    """Signal handlers: the first signal drains the engine, the second kills it."""

    def __init__(self, up: RunningEngine, work: asyncio.Task[None]) -> None:
        self._up = up
        self._work = work
        self._limit: asyncio.TimerHandle | None = None
        self.killed = False
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._handle_signal)

    def _handle_signal(self) -> None:
        if self._up.draining:
            self.killed = True
            self._work.cancel()
            return
        self._up.draining = True
        seconds, running = self._up.environment.engine.drain_seconds, self._up.engine.count_running()
        _log.warning(
            "Stopping: no new tasks start. %d running tasks have %d s to end. Press Ctrl-C again to kill them.",
            running, seconds, extra={"event": "draining", "running": running},
        )  # fmt: skip
        self._up.engine.drain()
        self._limit = self._loop.call_later(seconds, self._up.engine.stop_tasks, _STOP_REASON)

    def close(self) -> None:
        """Cancel the timer of the drain limit."""
        if self._limit is not None:
            self._limit.cancel()


async def _refresh_screen(up: RunningEngine, watch: Callable[[RunningEngine], None]) -> None:
    while True:
        watch(up)
        await asyncio.sleep(0.25)


@contextmanager
def _treat_sigterm_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM in the block, so that started services are stopped again."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
