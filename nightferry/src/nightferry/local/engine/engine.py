"""The engine: whoever holds the lock of a state directory works on all that is open there.

A command adds what it wants to the store and then either works itself, or, where another process holds the lock,
watches that one work. When that process ends (or is killed), the next one takes the lock and goes on. So two commands
at once get along, nothing is worked on twice, and nothing that was begun is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from nightferry.catalog.catalog import Catalog
from nightferry.contract import StopCode
from nightferry.environments.environment import Environment
from nightferry.local.engine.executor import Executor, abort_execution
from nightferry.local.engine.launcher import Launcher
from nightferry.local.integrations import Integrations
from nightferry.local.runs.admission import Admission
from nightferry.local.services.service_watch import ServiceWatch
from nightferry.local.services.services import Services
from nightferry.local.store import RunRecord, Store, now
from nightferry.local.store.retrying import retry_while_locked

POLL_SECONDS = 0.1  # seconds between two looks at what other processes have written
_BUSY_TIMEOUT_SECONDS = 0.2  # seconds that a write of the engine may hold everything up while another process writes

_log = logging.getLogger("nightferry.engine")


@contextlib.contextmanager
def lock(state: Path) -> Iterator[bool]:
    """Try to become the engine of a state directory; True for the one that is. It ends with the process."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / "engine.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield True


def read_engine_pid(state: Path) -> int | None:
    """The process id of the engine of this state directory; None when there is none."""
    if not is_running(state):
        return None
    with contextlib.suppress(OSError, ValueError):
        return int((state / "engine.lock").read_text())
    return None


def is_running(state: Path) -> bool:
    """Whether some process is the engine of this state directory."""
    file = state / "engine.lock"
    if not file.exists():
        return False
    with file.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class Component(Protocol):
    """Something that the engine runs beside its work until it ends: a scheduler, a watcher of objects."""

    async def run(self) -> None:
        """Go on until cancelled. An error ends the engine: what is expected to go wrong is the component's to bear."""
        ...


class Engine:
    """Works on the open runs and executions of one state directory. Only the holder of its lock may.

    The ``components`` run beside that in the same event loop, and may use the engine's :attr:`store`
    between two awaits.
    """

    def __init__(self, catalog: Catalog, environment: Environment, state: Path, services: Services) -> None:
        self.store = self._store = Store(state / "engine.sqlite", busy_timeout=_BUSY_TIMEOUT_SECONDS)
        self.components: Sequence[Component] = ()
        self._components: list[asyncio.Task[None]] = []
        self.launcher = self._launcher = Launcher(self.store, catalog, environment, state, services, self._run_ended)
        self._admission = Admission(self.store, catalog, environment.engine.concurrency)
        self._resources = Integrations(
            self.store, catalog, state, resolve=services.resolve, launch=self._launch, stop=self._stop_run
        )
        self._catalog = catalog
        self._settings = environment.engine
        self._services = services
        self._executors: dict[str, Executor] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._forwarded_stops: set[str] = set()
        self._wake = asyncio.Event()
        self._draining = False
        self.run_ended: Callable[[RunRecord], None] = lambda _: None
        """Called with each run that has stopped."""

    async def work(self, until: Callable[[], bool] = lambda: False) -> None:
        """Work until nothing is open and ``until`` returns True; after :meth:`drain`, until no task runs.

        On cancellation and on errors of its own, tasks are killed and executions stay open for the next engine.
        """
        services = asyncio.create_task(ServiceWatch(self._services).run())
        self._components = components = [asyncio.create_task(component.run()) for component in self.components]
        try:
            await retry_while_locked(self._recover)
            while True:
                for beside in (services, *components):
                    if beside.done() and not beside.cancelled():
                        beside.result()  # its error is the engine's
                await retry_while_locked(self._poll)
                if self._draining and not self._admission.active:
                    return
                if not self._draining and not self._running and not self._store.has_open_work() and until():
                    return
                await self._wait()
        finally:
            self._launcher.kill_all()
            for task in (*self._running.values(), *components, services):
                task.cancel()
            await asyncio.gather(*self._running.values(), *components, services, return_exceptions=True)
            await self._resources.close()
            self._launcher.close()
            self._store.close()

    def drain(self) -> None:
        """End the components, and start nothing any more. What runs goes on; what waits is for the next engine."""
        self._draining = True
        for component in self._components:
            component.cancel()
        self._wake.set()

    def stop_tasks(self, reason: str) -> None:
        """Ask every running task to stop."""
        for run in [id for id in self._running if id not in self._executors]:
            self._launcher.stop(run, reason)

    def running(self) -> int:
        """How many tasks run."""
        return self._admission.active

    def _recover(self) -> None:
        """Settle what a killed engine left: runs whose process died, and runs that no execution waits for any more."""
        self._launcher.recover()
        for id in self._store.abandoned_runs():
            self._store.mark_run_stopped(id, None, StopCode.BY_USER, "Its execution has ended.")
        for orphan in self._store.open_orphans():
            self._store.request_stop(orphan.id, "The execution that waited for it has ended.")

    async def _wait(self) -> None:
        """Until something of ours happens, or it is time to look for what others want."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
        self._wake.clear()

    def _poll(self) -> None:
        """See to all that has happened. If the store cannot be written, it is done again from the start."""
        self._reap()
        self._forward_stops()
        if not self._draining:
            self._start_ready()

    def _start_ready(self) -> None:
        active: set[str] = set()
        awaited: set[str] | None = None
        for id, workflow in self._store.open_workflows():  # the oldest first
            declared = self._catalog.workflows.get(workflow)
            if workflow in active and declared is not None and declared.overlap != "allow":
                continue  # its turn comes when the one before it has ended
            active.add(workflow)
            if id in self._executors:
                continue
            if len(self._executors) >= self._settings.executions:
                # What another execution waits for goes beyond the limit: else that one might wait for ever.
                awaited = self._store.awaited() if awaited is None else awaited
                if not awaited:
                    break
                if id not in awaited:
                    continue
            record = self._store.execution(id)
            assert record is not None
            self._executors[id] = executor = Executor(self._store, record, self._resources)
            self._begin(id, executor.run())
        for run in self._admission.admit():
            self._begin(run.run.id, self._launcher.run(run))

    def _begin(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        self._running[id] = task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._wake.set())

    def _launch(self, _: RunRecord) -> None:
        """An execution's run is in the store: it starts when its turn comes."""
        self._wake.set()

    def _run_ended(self, record: RunRecord) -> None:
        self.run_ended(record)
        if record.run.execution in self._executors:
            self._executors[record.run.execution].deliver(record)

    def _forward_stops(self) -> None:
        stops = self._store.stop_requests()
        self._forwarded_stops &= stops.keys()
        for id, reason in stops.items():
            if id in self._forwarded_stops:
                continue
            if id in self._executors:
                self._executors[id].abort(reason)
            elif (waiting := self._store.execution(id)) is not None:
                abort_execution(self._store, waiting, reason)
            elif id in self._running:
                self._launcher.stop(id, reason)
            else:
                self._cancel_pending(id, reason)
            self._forwarded_stops.add(id)

    def _stop_run(self, run: str, reason: str) -> None:
        """An execution gives a run up."""
        if run in self._running:
            self._launcher.stop(run, reason)
        else:
            self._cancel_pending(run, reason)

    def _cancel_pending(self, run: str, reason: str) -> None:
        self._store.mark_run_stopped(run, None, StopCode.BY_USER, reason)
        record = self._store.run(run)
        assert record is not None
        self._run_ended(record)

    def _reap(self) -> None:
        for id in [id for id, task in self._running.items() if task.done()]:
            task = self._running.pop(id)
            self._admission.release(id)
            executor = self._executors.pop(id, None)
            try:
                task.result()  # an error of the engine itself is to be seen
            except sqlite3.Error:
                raise  # without its store the engine can do nothing
            except Exception as error:
                if executor is None:
                    raise
                self._fail_execution(executor, error)

    def _fail_execution(self, executor: Executor, error: Exception) -> None:
        """End an execution that cannot be driven on: the others go on."""
        cause = executor.mark_failed(error)
        for record in self._store.open_runs_in(executor.id):
            self._stop_run(record.run.id, cause)
        places = "".join(traceback.format_tb(error.__traceback__))  # no values: they may be personal
        _log.error("%s", cause, extra={"event": "gave_up", "execution": executor.id})
        with contextlib.suppress(OSError), self._store.file.with_name("engine.log").open("a") as log:
            log.write(f"{now().isoformat(timespec='seconds')} {cause}\n{places}\n")
